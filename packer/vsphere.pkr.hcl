# vSphere: a machine or template that has the base's disk. First-boot data by guestinfo instead of a CD-ROM.
source "vsphere-clone" "jumpbox" {
  vcenter_server = var.vcenter
  username       = var.vcenter_user
  password       = var.vcenter_password
  host           = var.vcenter_host
  template       = var.vcenter_template
  vm_name        = "paver-jumpbox-build"
  configuration_parameters = {
    "guestinfo.metadata"          = local.metadata
    "guestinfo.metadata.encoding" = "base64"
    "guestinfo.userdata"          = local.userdata
    "guestinfo.userdata.encoding" = "base64"
  }

  communicator         = "ssh"
  ssh_username         = "root"
  ssh_private_key_file = var.key
  ssh_timeout          = var.boot_limit
  shutdown_command     = "systemctl --force --force poweroff"
}
