# For Packer 1.7 and newer: `packer init packer/plugins`. In a folder of its own, since Debian's 1.6.6 cannot read it.
packer {
  required_plugins {
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.1"
    }
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.1.0"
    }
    vmware = {
      source  = "github.com/vmware/vmware"
      version = ">= 2.1.1"
    }
    vsphere = {
      source  = "github.com/vmware/vsphere"
      version = ">= 2.4.0"
    }
  }
}
