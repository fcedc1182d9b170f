// Command vsim is the lab's vSphere: bare ESXi hosts or a vCenter, as real as
// govmomi's simulator and the lab's own parts make them.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"paver.lab/vsphere/internal/esx"
	"paver.lab/vsphere/internal/refusals"
	"paver.lab/vsphere/internal/vcenter"
)

const usage = `usage: vsim esx --config FILE [--allow ID]…
       vsim vcenter --config FILE [--allow ID]…
       vsim refusals [--json]
`

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vsim:", err)
		os.Exit(1)
	}
}

// ids is a flag that may be given many times.
type ids []string

func (i *ids) String() string { return strings.Join(*i, ",") }

func (i *ids) Set(v string) error {
	*i = append(*i, v)
	return nil
}

var errUsage = errors.New("which? esx, vcenter or refusals\n" + usage)

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("vsim "+args[0], flag.ContinueOnError)
	config := flags.String("config", "", "the configuration file")
	asJSON := flags.Bool("json", false, "as JSON")
	var allow ids
	flags.Var(&allow, "allow", "take the refusal with this id out (for tests)")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "esx", "vcenter":
		refuse, err := refusals.Allow(allow)
		if err != nil {
			return err
		}
		return serve(args[0], *config, refuse, out)
	case "refusals":
		return list(out, *asJSON)
	}
	return errUsage
}

type closer interface{ Close() }

// serve runs until it is told to end, and says "ready" when it answers.
func serve(mode, path string, refuse *refusals.Switches, out io.Writer) error {
	// It holds little, and makes and drops much: with the default it collects garbage
	// for a tenth of its time.
	debug.SetGCPercent(400)
	// Its calls are short, and whoever makes them wants the processors too: with more,
	// it looks for a seventh of its time for something to do.
	runtime.GOMAXPROCS(1)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	server, err := start(mode, path, refuse)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "ready")
	<-stop
	server.Close()
	return nil
}

func start(mode, path string, refuse *refusals.Switches) (closer, error) {
	if mode == "vcenter" {
		c, err := vcenter.ReadConfig(path)
		if err != nil {
			return nil, err
		}
		return vcenter.Start(c, refuse)
	}
	c, err := esx.ReadConfig(path)
	if err != nil {
		return nil, err
	}
	return esx.Start(c, refuse)
}

func list(out io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(refusals.Table)
	}
	for _, r := range refusals.Table {
		if _, err := fmt.Fprintf(out, "%-24s %-8s %s → %s (%s)\n", r.ID, r.Where, r.Refuses, r.Fault, r.Source); err != nil {
			return err
		}
	}
	return nil
}
