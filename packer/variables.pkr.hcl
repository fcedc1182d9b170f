# What whoever starts the build decides. `paver image build` gives all of those without a default.
variable "disk" {
  type        = string
  description = "The disk to start from: raw, of the base."
  default     = "disk.raw"
}

variable "seed" {
  type        = string
  description = "A folder with meta-data and user-data: it lets the key below in as root, until the machine is off."
}

variable "key" {
  type        = string
  description = "The private SSH key that user-data lets in."
}

variable "changes" {
  type        = string
  description = "Where the tar of what the playbook changed goes."
}

variable "output" {
  type        = string
  description = "Packer's own folder, which must not be there yet. Nothing in it is kept."
}

variable "since" {
  type        = string
  description = "What was last changed after this second since 1970 was changed by this machine: the date of the base."
}

variable "clock" {
  type        = string
  description = "What the machine believes the time to be, UTC: any, but the same in each build."
  default     = "2026-01-01T00:00:00"
}

variable "ansible" {
  type        = string
  description = "ansible-playbook; 2.14, which Debian 12 has, knows no Python 3.13."
  default     = "ansible-playbook"
}

variable "accelerator" {
  type        = string
  description = "kvm, or tcg where there is none that works."
  default     = "tcg"
}

variable "cpu" {
  type        = string
  description = "QEMU's model: host for kvm."
  default     = "max"
}

variable "cpus" {
  type    = number
  default = 2
}

variable "memory" {
  type        = number
  description = "MiB."
  default     = 2048
}

variable "console" {
  type        = string
  description = "Where what the machine says on its serial console is written."
  default     = "console.log"
}

variable "boot_limit" {
  type        = string
  description = "How long the machine may take until SSH answers."
  default     = "5m"
}

variable "vmx" {
  type        = string
  description = "VMware Workstation: a machine with the base's disk."
  default     = ""
}

variable "vcenter" {
  type    = string
  default = ""
}

variable "vcenter_user" {
  type    = string
  default = ""
}

variable "vcenter_password" {
  type      = string
  default   = ""
  sensitive = true
}

variable "vcenter_host" {
  type        = string
  description = "The ESXi host that runs the machine."
  default     = ""
}

variable "vcenter_template" {
  type        = string
  description = "A machine or template with the base's disk."
  default     = ""
}
