// Command nfsd is the lab's NFS server: one folder, read-only, by NFSv3 over TCP, with a portmapper where clients look
// for it. It refuses what a server with the usual settings refuses: see share.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"

	"github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
)

const (
	portmapPort = 111
	// nfsPort is NFS's own; mountPort is where an administrator pins rpc.mountd for a firewall's sake.
	nfsPort   = 2049
	mountPort = 20048
	// handles is how many files may be looked at before the first one's handle is stale.
	handles = 4096
)

func main() {
	address := flag.String("address", "", "listen at this address")
	folder := flag.String("folder", "", "serve this folder")
	export := flag.String("export", "/export", "as this path")
	flag.Parse()
	if *address == "" || *folder == "" {
		fmt.Fprintln(os.Stderr, "usage: nfsd --address ADDRESS --folder FOLDER [--export PATH]")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "nfsd:", serve(*address, *folder, *export))
	os.Exit(1)
}

func serve(address, folder, export string) error {
	if info, err := os.Stat(folder); err != nil {
		return err
	} else if !info.IsDir() {
		return errors.New(folder + " is no folder")
	}
	handler := helpers.NewCachingHandler(&share{export: export, folder: folder}, handles)
	ended := make(chan error, 3)
	// The library answers both programs on any of its ports; a real server has a port for each.
	for _, port := range []int{mountPort, nfsPort} {
		listener, err := listen(address, port)
		if err != nil {
			return err
		}
		go func() { ended <- nfs.Serve(listener, handler) }()
	}
	// Last: whoever finds the portmapper finds the others.
	listener, err := listen(address, portmapPort)
	if err != nil {
		return err
	}
	go func() { ended <- portmap(listener) }()
	log.Printf("%s is served as %s:%s", folder, address, export)
	return <-ended
}

func listen(address string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
}
