# Boots the base, runs the playbook in it twice, and takes out what it changed. The same for every source.
#
# Debian's Packer 1.6.6 has its plugins built in. With a newer one: `packer init packer/plugins` first.
locals {
  metadata = base64encode(file("${var.seed}/meta-data"))
  userdata = base64encode(file("${var.seed}/user-data"))
}

build {
  sources = ["source.qemu.jumpbox", "source.vmware-vmx.jumpbox", "source.vsphere-clone.jumpbox"]

  provisioner "ansible" {
    playbook_file    = "${path.root}/../playbooks/jumpbox.yml"
    command          = var.ansible
    user             = "root"
    use_proxy        = false
    ansible_env_vars = ["ANSIBLE_CONFIG=${path.root}/../playbooks/ansible.cfg"]
  }

  # Once more: whatever says `changed` now is not idempotent, and the build fails.
  provisioner "ansible" {
    playbook_file    = "${path.root}/../playbooks/jumpbox.yml"
    command          = var.ansible
    user             = "root"
    use_proxy        = false
    ansible_env_vars = ["ANSIBLE_CONFIG=${path.root}/../playbooks/ansible.cfg"]
  }

  provisioner "shell-local" {
    environment_vars = [
      "CHANGES=${var.changes}",
      "HOST=${build.Host}",
      "KEY=${var.key}",
      "PORT=${build.Port}",
      "SINCE=${var.since}",
    ]
    script          = "${path.root}/take-out.sh"
    execute_command = ["/bin/sh", "-c", "{{.Vars}} '{{.Script}}'"]
  }
}
