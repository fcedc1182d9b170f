package vcenter

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/control"
	"paver.lab/vsphere/internal/esx"
	"paver.lab/vsphere/internal/front"
	"paver.lab/vsphere/internal/refusals"
)

// VCenter is the server.
type VCenter struct {
	config   *Config
	front    *front.Front
	service  *simulator.Service
	reg      *simulator.Registry
	refuse   *refusals.Switches
	vmca     *vmca
	resolver *resolver
	hosts    *control.Client
	control  *control.Server
	sso      *sso
	rest     http.Handler
	authz    *authz
	agents   *agents

	// instance is who this vCenter is: one that is deployed anew is another,
	// also under the same name and address.
	instance string
	began    time.Time

	// syncMu is held while what the hosts have is brought over; nobody who
	// holds a lock of the simulator may wait for it.
	syncMu sync.Mutex

	mu         sync.Mutex
	links      map[types.ManagedObjectReference]*link
	coming     map[string]int                          // tasks that take a host in, by its name in small letters
	stores     map[string]types.ManagedObjectReference // datastores by their folder
	placements map[string]placement                    // of machines that are being made, by host and id there
	leases     map[string]*lease
	done       chan struct{}
}

// placement is where a new machine belongs in our inventory.
type placement struct {
	folder types.ManagedObjectReference
	pool   types.ManagedObjectReference
}

// pollInterval is how soon a client that waits for updates hears of a change
// that was made directly on a host.
const pollInterval = 250 * time.Millisecond

// Start brings the vCenter up, empty.
func Start(c *Config, refuse *refusals.Switches) (*VCenter, error) {
	certificate, err := front.LoadCertificate(c.Certificate, c.Key)
	if err != nil {
		return nil, err
	}
	authority, err := loadVMCA(c.VMCA)
	if err != nil {
		return nil, fmt.Errorf("VMCA: %w", err)
	}
	trace, err := front.OpenTrace(c.Trace)
	if err != nil {
		return nil, err
	}
	ctx, instance := simulator.NewServiceInstance(simulator.NewContext(), serviceContent(c.Version), vpx.RootFolder)
	v := &VCenter{
		instance: instance.Content.About.InstanceUuid, began: time.Now(),
		config: c, service: simulator.New(ctx, instance), reg: ctx.Map, refuse: refuse, vmca: authority,
		resolver: newResolver(c.DNS), hosts: control.Dial(c.HostsControl),
		links: map[types.ManagedObjectReference]*link{}, coming: map[string]int{}, stores: map[string]types.ManagedObjectReference{},
		placements: map[string]placement{}, leases: map[string]*lease{}, done: make(chan struct{}),
	}
	if v.front, err = front.New(c.Name, c.Listen, certificate, trace, v.service); err != nil {
		return nil, err
	}
	v.front.Before = v.before
	v.front.Faults.Slow = true
	v.skipZero(ctx)
	if m, ok := v.reg.Get(*instance.Content.LicenseManager).(*simulator.LicenseManager); ok {
		m.Evaluation = esx.Evaluation(v.began)
	}
	v.service.RegisterSDK(v.reg, v.reg.Path+"/vimService")
	v.authz = newAuthz(v, ctx)
	v.agents = newAgents(v)
	v.startSSO()
	v.front.Valid = v.sso.valid
	v.reg.SessionManager().ValidLogin = func(l *types.Login) bool { return l.Password == v.sso.own || v.sso.valid(l.UserName, l.Password) }
	v.reg.Handler = v.face
	mux := v.service.ServeMux
	mux.HandleFunc(v.reg.Path+"/vimServiceVersions.xml", front.ServiceVersions(c.Version))
	mux.HandleFunc("/folder/", v.serveFolder)
	v.startREST(mux)
	if c.Control != "" {
		if v.control, err = control.Listen(c.Control); err != nil {
			v.front.Close()
			return nil, err
		}
		v.routes()
	}
	go v.watch()
	go v.agents.run()
	v.front.Serve()
	return v, nil
}

// Close ends the server and removes the socket.
func (v *VCenter) Close() {
	close(v.done)
	if v.control != nil {
		v.control.Close()
	}
	v.front.Close()
}

func serviceContent(version string) types.ServiceContent {
	content := vpx.ServiceContent
	const build = "24022515"
	content.About.Version = version
	content.About.Build = build
	content.About.FullName = fmt.Sprintf("VMware vCenter Server %s build-%s", version, build)
	content.About.ApiVersion = front.APIVersion(version)
	content.About.LicenseProductVersion = "8.0"
	content.About.InstanceUuid = uuid.NewString()
	return content
}

// skipZero uses up the key 0 of custom attributes: real keys begin above, and
// a client may take 0 for none.
func (v *VCenter) skipZero(ctx *simulator.Context) {
	m := v.reg.CustomFieldsManager()
	m.AddCustomFieldDef(ctx, &types.AddCustomFieldDef{Name: "none"})
	m.RemoveCustomFieldDef(ctx, &types.RemoveCustomFieldDef{Key: 0})
}

// before lets a client read what the hosts have now.
func (v *VCenter) before(method string) {
	if front.Reading(method) && method != "Login" {
		v.sync()
	}
}

// watch serves clients that wait for updates instead of reading.
func (v *VCenter) watch() {
	tick, beat := time.NewTicker(pollInterval), time.NewTicker(heartbeatInterval)
	defer tick.Stop()
	defer beat.Stop()
	for {
		select {
		case <-v.done:
			return
		case <-tick.C:
			v.sync()
		case <-beat.C:
			v.agents.tend()
			go v.heartbeats()
		}
	}
}

// allLinks lists the hosts, in the order of their ids.
func (v *VCenter) allLinks() []*link {
	v.mu.Lock()
	defer v.mu.Unlock()
	links := make([]*link, 0, len(v.links))
	for _, l := range v.links {
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b *link) int { return compareRefs(a.ref, b.ref) })
	return links
}

func (v *VCenter) linkOf(host types.ManagedObjectReference) *link {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.links[host]
}

// linkOfVM finds the host that a machine lives on.
func (v *VCenter) linkOfVM(vm types.ManagedObjectReference) *link {
	for _, l := range v.allLinks() {
		l.mu.Lock()
		_, ok := l.maps.toHost[vm]
		l.mu.Unlock()
		if ok {
			return l
		}
	}
	return nil
}

// linkOfStore finds a host that has a datastore, by our name of it.
func (v *VCenter) linkOfStore(name string, among []types.ManagedObjectReference) *link {
	for _, l := range v.allLinks() {
		if among != nil && !slices.Contains(among, l.ref) {
			continue
		}
		l.mu.Lock()
		_, ok := l.maps.storeHost[name]
		l.mu.Unlock()
		if ok {
			return l
		}
	}
	return nil
}

// named are the methods that are not called like what they do.
var named = map[string]string{
	"clone": "CloneVM_Task", "createVm": "CreateVM_Task", "disconnect": "DisconnectHost_Task", "powerOff": "PowerOffVM_Task",
	"powerOn": "PowerOnVM_Task", "reconfigVm": "ReconfigVM_Task", "reconfigure": "ReconfigureComputeResource_Task",
	"reconnect": "ReconnectHost_Task", "reset": "ResetVM_Task", "suspend": "SuspendVM_Task", "upgradeVirtualHardware": "UpgradeVM_Task",
}

// methodOf is what a task names as the call that made it.
func methodOf(name string) string {
	if method, ok := named[name]; ok {
		return method
	}
	return strings.ToUpper(name[:1]) + name[1:] + "_Task"
}

// task runs work that belongs to an entity without holding the entity's lock:
// it waits for hosts, and clients must be able to read meanwhile.
func (v *VCenter) task(ctx *simulator.Context, entity types.ManagedObjectReference, name string, f func() (types.AnyType, types.BaseMethodFault)) types.ManagedObjectReference {
	work := types.ManagedObjectReference{Type: "LabWork", Value: uuid.NewString()}
	called := methodOf(name)
	task := simulator.CreateTask(work, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		v.front.Faults.Work(called, entity.Value)
		return f()
	})
	task.Info.Name = called
	task.Info.DescriptionId = entity.Type + "." + name
	if ctx.Session != nil {
		task.Info.Reason = &types.TaskReasonUser{UserName: ctx.Session.UserName}
	}
	ref := task.Run(ctx)
	label := entity.Value
	if e, ok := v.reg.Get(entity).(mo.Entity); ok {
		label = e.Entity().Name
	}
	v.reg.AtomicUpdate(v.front.NewContext(), task, []types.PropertyChange{
		{Name: "info.entity", Val: entity}, {Name: "info.entityName", Val: label},
	})
	return ref
}

// failed is a task that has failed.
func (v *VCenter) failed(ctx *simulator.Context, entity types.ManagedObjectReference, name string, fault types.BaseMethodFault) types.ManagedObjectReference {
	return v.task(ctx, entity, name, func() (types.AnyType, types.BaseMethodFault) { return nil, fault })
}
