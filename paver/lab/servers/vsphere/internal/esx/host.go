package esx

import (
	"crypto/sha256"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	simesx "github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/front"
	"paver.lab/vsphere/internal/lockout"
	"paver.lab/vsphere/internal/refusals"
	"paver.lab/vsphere/internal/room"
)

// Host is one ESXi host.
type Host struct {
	Name string

	config   HostConfig
	front    *front.Front
	service  *simulator.Service
	reg      *simulator.Registry
	refuse   *refusals.Switches
	room     *room.Room
	machines string
	digests  *digests

	changes counter
	network atomic.Pointer[types.HostNetworkInfo]
	// renamed are the datastores once a vCenter has given one another name.
	renamed atomic.Pointer[[]DatastoreConfig]
	space   space

	mu        sync.Mutex
	users     map[string]string
	licence   licence
	leases    map[string]*lease
	transfers map[string]transfer
	agents    map[string]types.ManagedObjectReference // of vSphere Cluster Services, by name
	ha        bool                                    // the host's cluster has HA
	manager   string                                  // the vCenter that has taken the host in, by its instance
	silent    bool                                    // leases do not tell what has arrived
	ahead     time.Duration                           // what the clock tells goes ahead of the real time
	lockdown  types.HostLockdownMode
	// exceptions are who may log in all the same.
	exceptions []string

	lockout *lockout.Book
}

// newHost builds a host's inventory and reserves its address.
func newHost(c HostConfig, machines string, r *room.Room, refuse *refusals.Switches) (*Host, error) {
	certificate, err := front.LoadCertificate(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	trace, err := front.OpenTrace(c.Trace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	ctx, instance := simulator.NewServiceInstance(simulator.NewContext(), serviceContent(c.Version), simesx.RootFolder)
	service := simulator.New(ctx, instance)
	h := &Host{
		Name:      c.Name,
		config:    c,
		service:   service,
		reg:       ctx.Map,
		refuse:    refuse,
		room:      r,
		machines:  machines,
		digests:   newDigests(),
		users:     map[string]string{},
		leases:    map[string]*lease{},
		transfers: map[string]transfer{},
		agents:    map[string]types.ManagedObjectReference{},
	}
	for _, u := range c.Users {
		h.users[u.Name] = u.Password
	}
	if h.licence, err = licenceOf(c.Licence); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	if h.front, err = front.New(c.Name, c.Listen, certificate, trace, service); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	h.front.Valid = h.admits
	h.front.Before = func(string) { h.space.refresh(h) }
	h.front.Around = h.space.around
	h.front.Changed = h.called

	service.RegisterSDK(ctx.Map, ctx.Map.Path+"/vimService")
	mux := service.ServeMux
	mux.HandleFunc(ctx.Map.Path+"/vimServiceVersions.xml", front.ServiceVersions(c.Version))
	mux.HandleFunc("/folder/", h.serveFolder)
	mux.HandleFunc("/nfc/", h.serveNFC)
	mux.HandleFunc("/guestFile", h.serveGuestFile)
	mux.HandleFunc("/host/ssl_cert", func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })

	if err := h.furnish(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	ctx.Map.SessionManager().ValidLogin = func(l *types.Login) bool { return h.valid(l.UserName, l.Password) }
	ctx.Map.Handler = h.face
	ctx.Map.AddHandler(&watcher{host: h})
	return h, nil
}

// serviceContent is an ESXi of the given version in place of the simulator's 6.5.
func serviceContent(version string) types.ServiceContent {
	content := simesx.ServiceContent
	build := "24022510"
	content.About.Version = version
	content.About.Build = build
	content.About.FullName = fmt.Sprintf("VMware ESXi %s build-%s", version, build)
	content.About.ApiVersion = front.APIVersion(version)
	content.About.LicenseProductVersion = strings.Join(strings.Split(version, ".")[:1], ".") + ".0"
	content.GuestOperationsManager = &types.ManagedObjectReference{
		Type: "GuestOperationsManager", Value: "ha-guest-operations-manager",
	}
	return content
}

// identity is a UUID that a host keeps over restarts of the lab.
func identity(name string) string {
	sum := sha256.Sum256([]byte("paver lab host " + name))
	id, _ := uuid.FromBytes(sum[:16])
	return id.String()
}

// host is the one HostSystem of this inventory.
func (h *Host) host() *simulator.HostSystem {
	host, _ := h.reg.Get(types.ManagedObjectReference{Type: "HostSystem", Value: "ha-host"}).(*simulator.HostSystem)
	return host
}

func (h *Host) datacenter() *simulator.Datacenter {
	dc, _ := h.reg.Get(types.ManagedObjectReference{Type: "Datacenter", Value: "ha-datacenter"}).(*simulator.Datacenter)
	return dc
}

// furnish makes the simulator's template into this host: its own name, UUID,
// addresses, cards and datastores, and the managers that the simulator lacks.
func (h *Host) furnish(ctx *simulator.Context) error {
	host := h.host()
	host.Name = h.config.Hostname
	host.Summary.Config.Name = h.config.Hostname
	id := identity(h.Name)
	host.Summary.Hardware.Uuid = id
	host.Hardware.SystemInfo.Uuid = id
	host.Summary.Hardware.CpuMhz = 2400
	about := h.about()
	host.Summary.Config.Product = &about
	host.Config.Product = about
	host.Config.Certificate = nil
	host.Summary.ManagementServerIp = ""
	// The template's sensors are the larger half of all that a host says, and a
	// host in a machine has none.
	host.Runtime.HealthSystemRuntime = nil
	cr, _ := h.reg.Get(*host.Parent).(*mo.ComputeResource)
	cr.Name = host.Name

	h.furnishAccess()
	h.furnishNetwork(ctx)
	h.furnishFirewall()
	h.furnishServices()
	if err := h.furnishDatastores(ctx); err != nil {
		return err
	}
	h.showLicence(ctx)
	h.showCertificate()
	return nil
}

func (h *Host) about() types.AboutInfo { return serviceContent(h.config.Version).About }

// changed notes that something about machines may be different from now on.
func (h *Host) changed() {
	h.changes.ofMachines()
	h.space.stale()
}

// differs notes that something about the host itself is.
func (h *Host) differs() { h.changes.ofHost() }

// called notes what a call on an object, or for a file, may have changed.
func (h *Host) called(kind, id string) {
	switch kind {
	case "VirtualMachine":
		h.changes.ofMachine(id)
	case front.Files, "FileManager", "VirtualDiskManager", "HostDatastoreBrowser", "PropertyCollector":
		h.changes.ofNone()
	default:
		h.changes.ofMachines()
	}
	h.space.stale()
}

func (h *Host) serve() { h.front.Serve() }

func (h *Host) close() {
	h.mu.Lock()
	for _, l := range h.leases {
		l.stop()
	}
	h.mu.Unlock()
	h.front.Close()
}

// watcher hears of every change in the inventory and of every task that ends.
type watcher struct{ host *Host }

func (w *watcher) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabWatcher", Value: "lab-watcher"}
}

// kindsOfMachines are the kinds of objects, besides machines, that change with a host's machines alone.
var kindsOfMachines = []string{"EnvironmentBrowser", "Folder", "ResourcePool", "VirtualMachineSnapshot"}

// kindsOfClients are the kinds of objects that somebody who looks makes for himself: nothing that anybody else sees.
var kindsOfClients = []string{"ContainerView", "InventoryView", "ListView", "PropertyCollector", "PropertyFilter"}

// notes counts a change of an object.
func (w *watcher) notes(ref types.ManagedObjectReference) {
	switch {
	case slices.Contains(kindsOfClients, ref.Type):
	case ref.Type == "VirtualMachine":
		w.host.changes.ofMachine(ref.Value)
	case ref.Type == "HttpNfcLease":
		w.host.changes.ofNone()
	case slices.Contains(kindsOfMachines, ref.Type):
		w.host.changes.ofMachines()
	default:
		w.host.differs()
	}
}

// PutObject also gives the tasks of file and disk managers an entity: these
// managers are none, and clients refuse to read a task that says so.
func (w *watcher) PutObject(_ *simulator.Context, o mo.Reference) {
	task, ok := o.(*simulator.Task)
	if !ok {
		w.notes(o.Reference())
		return
	}
	w.host.space.begin()
	if task.Info.Entity != nil && strings.HasSuffix(task.Info.Entity.Type, "Manager") {
		dc := w.host.datacenter().Self
		task.Info.Entity, task.Info.EntityName = &dc, dc.Value
	}
}

func (w *watcher) UpdateObject(ctx *simulator.Context, o mo.Reference, changes []types.PropertyChange) {
	if task, ok := o.(*mo.Task); ok {
		// What it changes, its objects tell, or is changed by its end; one that looks changes nothing.
		if w.host.space.follow(changes) && !front.Reading(task.Info.Name) {
			switch of := task.Info.Entity; {
			case of == nil:
				w.host.differs()
			case of.Type == "Datacenter": // of files and disks, see PutObject
				w.host.changes.ofNone()
			default:
				w.notes(*of)
			}
		}
		return
	}
	if o.Reference().Type == "TaskManager" {
		return // the list of its tasks
	}
	w.notes(o.Reference())
	if o.Reference().Type != "VirtualMachine" {
		return
	}
	devices := false
	for _, c := range changes {
		devices = devices || c.Name == "config.hardware.device"
		if c.Name == "runtime.powerState" {
			w.host.powerChanged(ctx, o.Reference(), c.Val)
			return
		}
	}
	if devices {
		w.host.devicesChanged(ctx, o.Reference())
	}
}

func (w *watcher) RemoveObject(ctx *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		w.host.changes.gone(ref.Value)
		w.host.vmRemoved(ctx, ref)
		return
	}
	w.notes(ref)
}

// broken logs what should never happen and turns it into a fault.
func (h *Host) broken(what string, err error) types.BaseMethodFault {
	log.Printf("%s: %s: %s", h.Name, what, err)
	return &types.SystemError{Reason: what + ": " + err.Error()}
}
