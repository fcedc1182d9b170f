# VMware Workstation: a machine that has the base's disk. First-boot data by guestinfo instead of a CD-ROM.
source "vmware-vmx" "jumpbox" {
  source_path      = var.vmx
  headless         = true
  output_directory = var.output
  vmx_data = {
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
