package esx

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/store"
)

// GuestState is what the lab says of the inside of a machine (POST /guest).
type GuestState struct {
	Host      string            `json:"host"`
	VM        string            `json:"vm"`
	IP        string            `json:"ip"`
	Hostname  string            `json:"hostname"`
	Tools     string            `json:"tools"`
	Guestinfo map[string]string `json:"guestinfo"`
	Off       bool              `json:"off"`  // the machine went off: by itself, or what ran it broke down
	Boot      string            `json:"boot"` // of which boot that is said, as room.Power told it; any, where empty
}

// setGuest shows a guest's state as VMware Tools report it.
func (h *Host) setGuest(machine *simulator.VirtualMachine, s GuestState) {
	ctx := h.front.NewContext()
	running := s.Tools == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	ctx.WithLock(machine, func() {
		if s.Boot != "" && s.Boot != bootOf(machine) {
			return // was switched on again meanwhile
		}
		if running && machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			return // said before it went off
		}
		changes := []types.PropertyChange{}
		if s.Tools != "" {
			status := types.VirtualMachineToolsStatusToolsNotRunning
			if running {
				status = types.VirtualMachineToolsStatusToolsOk
			}
			changes = append(changes,
				types.PropertyChange{Name: "guest.toolsRunningStatus", Val: s.Tools},
				types.PropertyChange{Name: "guest.toolsStatus", Val: status},
				types.PropertyChange{Name: "summary.guest.toolsRunningStatus", Val: s.Tools},
				types.PropertyChange{Name: "summary.guest.toolsStatus", Val: status})
			// Set in place: the simulator's Update cannot assign a pointer to a bool.
			machine.Guest.GuestOperationsReady = types.NewBool(running)
		}
		if s.IP != "" || s.Tools != "" && !running {
			changes = append(changes,
				types.PropertyChange{Name: "guest.ipAddress", Val: s.IP},
				types.PropertyChange{Name: "summary.guest.ipAddress", Val: s.IP},
				types.PropertyChange{Name: "guest.net", Val: guestNet(machine, s.IP)})
		}
		if s.Hostname != "" {
			changes = append(changes,
				types.PropertyChange{Name: "guest.hostName", Val: s.Hostname},
				types.PropertyChange{Name: "summary.guest.hostName", Val: s.Hostname})
		}
		if len(s.Guestinfo) > 0 {
			changes = append(changes, types.PropertyChange{Name: "config.extraConfig", Val: withGuestinfo(machine.Config.ExtraConfig, s.Guestinfo)})
		}
		if s.Off && machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			changes = append(changes,
				types.PropertyChange{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
				types.PropertyChange{Name: "summary.runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff})
		}
		ctx.Update(machine, changes)
	})
	h.called("VirtualMachine", machine.Self.Value)
}

// bootOf tells one time that a machine was switched on from another.
func bootOf(machine *simulator.VirtualMachine) string {
	if machine.Summary.Runtime.BootTime == nil {
		return ""
	}
	return machine.Summary.Runtime.BootTime.Format(time.RFC3339Nano)
}

func guestNet(machine *simulator.VirtualMachine, ip string) []types.GuestNicInfo {
	cards := make([]types.GuestNicInfo, 0, 1)
	for i, nic := range nicsOf(machine) {
		card := types.GuestNicInfo{Network: nic.PortGroup, MacAddress: nic.MAC, Connected: true, DeviceConfigId: nic.Key}
		if i == 0 && ip != "" {
			card.IpAddress = []string{ip}
			card.IpConfig = &types.NetIpConfigInfo{IpAddress: []types.NetIpConfigInfoIpAddress{{IpAddress: ip, PrefixLength: 24, State: "preferred"}}}
		}
		cards = append(cards, card)
	}
	return cards
}

// withGuestinfo sets keys, and takes out those whose value is empty.
func withGuestinfo(old []types.BaseOptionValue, values map[string]string) []types.BaseOptionValue {
	out := make([]types.BaseOptionValue, 0, len(old)+len(values))
	for _, o := range old {
		if _, replaced := values[o.GetOptionValue().Key]; !replaced {
			out = append(out, o)
		}
	}
	for _, key := range sortedKeys(values) {
		if values[key] != "" {
			out = append(out, &types.OptionValue{Key: key, Value: values[key]})
		}
	}
	return out
}

// guestStopped takes back what a guest that ran has reported; the simulator
// holds the machine's lock.
func (h *Host) guestStopped(ctx *simulator.Context, machine *simulator.VirtualMachine) {
	if machine.Guest == nil || machine.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
		return
	}
	const stopped = string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	// Set in place: the simulator's Update cannot assign a pointer to a bool.
	machine.Guest.GuestOperationsReady = types.NewBool(false)
	ctx.Update(machine, []types.PropertyChange{
		{Name: "guest.toolsRunningStatus", Val: stopped},
		{Name: "summary.guest.toolsRunningStatus", Val: stopped},
		{Name: "guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsNotRunning},
		{Name: "summary.guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsNotRunning},
		{Name: "guest.ipAddress", Val: ""},
		{Name: "summary.guest.ipAddress", Val: ""},
		{Name: "guest.net", Val: guestNet(machine, "")},
	})
}

// transfer is a file that a guest operation has made available.
type transfer struct {
	file string
	put  bool
}

// guestFiles answers for GuestFileManager: files in and out of a guest with
// the guest's own credentials.
type guestFiles struct {
	*simulator.GuestFileManager
	host *Host
}

// enter checks that the guest is up and lets the user in.
func (g *guestFiles) enter(ctx *simulator.Context, ref types.ManagedObjectReference, auth types.BaseGuestAuthentication) (string, types.BaseMethodFault) {
	machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return "", &types.ManagedObjectNotFound{Obj: ref}
	}
	var id string
	var state types.VirtualMachinePowerState
	var tools string
	ctx.WithLock(machine, func() {
		id, state, tools = machine.Config.Uuid, machine.Runtime.PowerState, machine.Guest.ToolsRunningStatus
	})
	switch {
	case state != types.VirtualMachinePowerStatePoweredOn:
		return "", &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: state}
	case tools != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) && g.host.refuse.Refuse("guest-tools"):
		return "", new(types.GuestOperationsUnavailable)
	}
	home := filepath.Join(g.host.machines, id)
	known := map[string]string{}
	raw, err := os.ReadFile(filepath.Join(home, "guest-credentials.json"))
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	login, ok := auth.(*types.NamePasswordAuthentication)
	if !ok || err != nil {
		return "", new(types.InvalidGuestLogin)
	}
	password, exists := known[login.Username]
	if (!exists || subtle.ConstantTimeCompare([]byte(password), []byte(login.Password)) != 1) && g.host.refuse.Refuse("guest-login") {
		return "", new(types.InvalidGuestLogin)
	}
	return filepath.Join(home, "root"), nil
}

// offer makes a URL for one file of a guest.
func (h *Host) offer(file string, put bool) string {
	token := uuid.NewString()
	h.mu.Lock()
	h.transfers[token] = transfer{file, put}
	h.mu.Unlock()
	u := url.URL{
		Scheme: "https", Host: "*:" + strconv.Itoa(h.front.Addr().Port), Path: "/guestFile",
		RawQuery: url.Values{"id": {"1"}, "token": {token}}.Encode(),
	}
	return u.String()
}

// InitiateFileTransferFromGuest offers a file of the guest.
func (g *guestFiles) InitiateFileTransferFromGuest(ctx *simulator.Context, req *types.InitiateFileTransferFromGuest) soap.HasFault {
	body := new(methods.InitiateFileTransferFromGuestBody)
	root, fault := g.enter(ctx, req.Vm, req.Auth)
	if fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	file := filepath.Join(root, filepath.Clean("/"+req.GuestFilePath))
	info, err := os.Stat(file)
	if err != nil || info.IsDir() {
		body.Fault_ = simulator.Fault("", &types.FileNotFound{FileFault: types.FileFault{File: req.GuestFilePath}})
		return body
	}
	modified := info.ModTime()
	body.Res = &types.InitiateFileTransferFromGuestResponse{Returnval: types.FileTransferInformation{
		Attributes: &types.GuestFileAttributes{ModificationTime: &modified}, Size: info.Size(), Url: g.host.offer(file, false),
	}}
	return body
}

// InitiateFileTransferToGuest offers a place for a file in the guest.
func (g *guestFiles) InitiateFileTransferToGuest(ctx *simulator.Context, req *types.InitiateFileTransferToGuest) soap.HasFault {
	body := new(methods.InitiateFileTransferToGuestBody)
	root, fault := g.enter(ctx, req.Vm, req.Auth)
	if fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	file := filepath.Join(root, filepath.Clean("/"+req.GuestFilePath))
	if _, err := os.Stat(file); err == nil && !req.Overwrite {
		body.Fault_ = simulator.Fault("", &types.FileAlreadyExists{FileFault: types.FileFault{File: req.GuestFilePath}})
		return body
	}
	body.Res = &types.InitiateFileTransferToGuestResponse{Returnval: g.host.offer(file, true)}
	return body
}

// serveGuestFile carries a file that was offered, once.
func (h *Host) serveGuestFile(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	h.mu.Lock()
	t, ok := h.transfers[token]
	if r.Method == http.MethodGet || r.Method == http.MethodPut {
		delete(h.transfers, token)
	}
	h.mu.Unlock()
	switch {
	case !ok:
		http.NotFound(w, r)
	case !t.put:
		store.Send(w, r, t.file)
	case r.Method == http.MethodPut:
		if err := writeFile(t.file, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func writeFile(file string, r *http.Request) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := out.ReadFrom(r.Body); err != nil {
		_ = out.Close()
		return fmt.Errorf("%s: %w", strings.TrimSpace(filepath.Base(file)), err)
	}
	return out.Close()
}
