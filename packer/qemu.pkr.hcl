# QEMU, as it runs wherever Debian does.
source "qemu" "jumpbox" {
  disk_image       = true
  iso_url          = var.disk
  iso_checksum     = "none"
  format           = "qcow2"
  disk_interface   = "virtio"
  skip_compaction  = true
  skip_resize_disk = true
  cd_files         = ["${var.seed}/meta-data", "${var.seed}/user-data"]
  cd_label         = "cidata"

  accelerator         = var.accelerator
  cpus                = var.cpus
  memory              = var.memory
  net_device          = "virtio-net"
  headless            = true
  use_default_display = true
  boot_wait           = "1s"
  output_directory    = var.output

  qemuargs = [
    ["-cpu", var.cpu],
    # Nothing is reachable from the machine, and the machine from this one's loopback alone.
    ["-netdev", "user,id=user.0,restrict=on,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22"],
    ["-rtc", "base=${var.clock},clock=vm"],
    ["-serial", "file:${var.console}"],
    ["-object", "rng-random,id=rng0,filename=/dev/urandom"],
    ["-device", "virtio-rng-pci,rng=rng0"],
    ["-device", "virtio-net,netdev=user.0"],
  ]

  communicator         = "ssh"
  ssh_username         = "root"
  ssh_private_key_file = var.key
  ssh_timeout          = var.boot_limit
  # What it is for has been taken out by then; its disk is thrown away.
  shutdown_command = "systemctl --force --force poweroff"
}
