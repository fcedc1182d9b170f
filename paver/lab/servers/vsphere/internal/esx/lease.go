package esx

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// lease is an import under way: the machine is there, its disks are coming.
type lease struct {
	mo.HttpNfcLease
	host *Host

	// byTicket: the lease was made for a vCenter, whose clients have no
	// session here; knowing the URL is what lets them in.
	byTicket bool
	vm       types.ManagedObjectReference

	mu       sync.Mutex
	files    map[string]leaseFile
	manifest map[string]types.HttpNfcLeaseManifestEntry
	checksum string
	timer    *time.Timer
	timedOut bool
}

// leaseFile is a place for an upload.
type leaseFile struct {
	key       string
	path      string // datastore path
	file      string // where the bytes go
	datastore string
	disk      bool
	capacity  int64
}

// pool answers for ResourcePool.
type pool struct {
	*simulator.ResourcePool
	host *Host
}

var powerOps = []string{"", "soft", "hard", "preset", "checkpoint", "powerOnSuspend"}

// ImportVApp begins an import; the lease becomes ready when the machine is made.
func (p *pool) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	body := new(methods.ImportVAppBody)
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec"})
		return body
	}
	if op := spec.ConfigSpec.PowerOpInfo; op != nil && p.host.refuse.Refuse("power-op-info") {
		for _, v := range []string{op.PowerOffType, op.ResetType, op.SuspendType} {
			if !slices.Contains(powerOps, v) {
				body.Fault_ = simulator.Fault("A specified parameter was not correct: spec.powerOpInfo",
					&types.InvalidArgument{InvalidProperty: "spec.powerOpInfo"})
				return body
			}
		}
	}
	target, ok := ctx.Map.Get(p.host.datacenter().VmFolder).(*simulator.Folder)
	if !ok || req.Folder != nil && *req.Folder != target.Self {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "folder"})
		return body
	}
	l := p.host.newLease(ctx)
	config := spec.ConfigSpec
	simulator.CreateTask(p.ResourcePool, "ImportVAppLRO", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		result, fault := p.host.createVM(ctx, target, &types.CreateVM_Task{This: target.Self, Config: config, Pool: p.Self, Host: req.Host})
		if fault != nil {
			l.fail(ctx, fault, "The machine could not be made.")
			return nil, fault
		}
		ref, _ := result.(types.ManagedObjectReference)
		l.ready(ctx, ref)
		return nil, nil
	}).Run(ctx)
	body.Res = &types.ImportVAppResponse{Returnval: l.Self}
	return body
}

func (h *Host) newLease(ctx *simulator.Context) *lease {
	l := &lease{host: h, files: map[string]leaseFile{}, manifest: map[string]types.HttpNfcLeaseManifestEntry{}}
	l.Self = types.ManagedObjectReference{Type: "HttpNfcLease", Value: uuid.NewString()}
	l.State = types.HttpNfcLeaseStateInitializing
	l.Mode = "pushOrGet"
	l.byTicket = h.front.SessionUser(ctx.Session.Key) == AgentUser
	ctx.Map.Put(l)
	h.mu.Lock()
	h.leases[l.Self.Value] = l
	h.mu.Unlock()
	return l
}

// ready names the URLs. A bare host can't know under which name its client
// sees it, so it says "*".
func (l *lease) ready(ctx *simulator.Context, ref types.ManagedObjectReference) {
	machine, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	info := &types.HttpNfcLeaseInfo{Lease: l.Self, Entity: ref, LeaseTimeout: int32(l.host.config.LeaseTimeoutS)}
	ctx.WithLock(machine, func() {
		devices := object.VirtualDeviceList(machine.Config.Hardware.Device)
		count := map[string]int{}
		for _, d := range devices {
			backing, ok := d.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
			if !ok {
				continue
			}
			kind := devices.Type(d)
			n := count[kind]
			count[kind]++
			f := leaseFile{key: fmt.Sprintf("/%s/%s:%d", ref.Value, kind, n), path: backing.GetVirtualDeviceFileBackingInfo().FileName}
			f.file, _ = l.host.file(f.path)
			var p object.DatastorePath
			p.FromString(f.path)
			f.datastore = p.Datastore
			name := path.Base(p.Path)
			if disk, ok := d.(*types.VirtualDisk); ok {
				name = fmt.Sprintf("disk-%d.vmdk", n)
				f.disk, f.capacity, f.file = true, disk.CapacityInBytes, flat(f.file)
				info.TotalDiskCapacityInKB += disk.CapacityInKB
			}
			l.files[name] = f
			u := url.URL{Scheme: "https", Host: "*", Path: "/nfc/" + l.Self.Value + "/" + name}
			info.DeviceUrl = append(info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
				Key: f.key, ImportKey: fmt.Sprintf("/%s/%s:%d", machine.Name, kind, n), Url: u.String(),
				SslThumbprint: l.host.thumbprint(), Disk: types.NewBool(f.disk), TargetId: name, DatastoreKey: f.datastore,
			})
		}
	})
	l.mu.Lock()
	l.vm = ref
	l.timer = time.AfterFunc(l.patience(), l.expire)
	l.mu.Unlock()
	l.update(ctx, types.PropertyChange{Name: "info", Val: info}, types.PropertyChange{Name: "initializeProgress", Val: int32(100)},
		types.PropertyChange{Name: "state", Val: types.HttpNfcLeaseStateReady})
}

func (l *lease) patience() time.Duration {
	return time.Duration(l.host.config.LeaseTimeoutS) * time.Second
}

func (l *lease) update(ctx *simulator.Context, changes ...types.PropertyChange) {
	ctx.WithLock(l, func() { ctx.Update(l, changes) })
}

// fail ends the lease with an error that its client can read.
func (l *lease) fail(ctx *simulator.Context, fault types.BaseMethodFault, message string) {
	l.update(ctx,
		types.PropertyChange{Name: "error", Val: &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: message}},
		types.PropertyChange{Name: "state", Val: types.HttpNfcLeaseStateError})
	l.stop()
}

func (l *lease) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

// expire ends a lease whose client has said nothing for too long: the machine
// goes with its files.
func (l *lease) expire() {
	ctx := l.host.front.NewContext()
	l.mu.Lock()
	l.timedOut = true
	l.mu.Unlock()
	l.fail(ctx, &types.Timedout{}, "The lease has timed out.")
	l.removeVM(ctx)
	l.host.changed()
}

// removeVM undoes the import.
func (l *lease) removeVM(ctx *simulator.Context) {
	machine, ok := ctx.Map.Get(l.vm).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	ctx.WithLock(machine, func() { _ = (&vm{VirtualMachine: machine, host: l.host}).destroy(ctx) })
}

// importing reports whether a machine's disks are still being uploaded.
func (h *Host) importing(ref types.ManagedObjectReference) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.leases {
		if l.vm == ref && l.open() {
			return true
		}
	}
	return false
}

// open reports whether uploads may come.
func (l *lease) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timer != nil && !l.timedOut
}

func (l *lease) close() {
	l.stop()
	l.mu.Lock()
	l.timer = nil
	l.mu.Unlock()
	l.host.mu.Lock()
	delete(l.host.leases, l.Self.Value)
	l.host.mu.Unlock()
}

// over is the fault for a call on a lease that has ended.
func (l *lease) over() types.BaseMethodFault {
	l.mu.Lock()
	timedOut := l.timedOut
	l.mu.Unlock()
	switch {
	case timedOut:
		return new(types.Timedout)
	case l.State == types.HttpNfcLeaseStateDone, l.State == types.HttpNfcLeaseStateError:
		return new(types.InvalidState)
	}
	return nil
}

// HttpNfcLeaseComplete ends the import; the machine stays.
func (l *lease) HttpNfcLeaseComplete(ctx *simulator.Context, _ *types.HttpNfcLeaseComplete) soap.HasFault {
	body := new(methods.HttpNfcLeaseCompleteBody)
	if fault := l.over(); fault != nil && l.host.refuse.Refuse("lease-complete") {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	l.update(ctx, types.PropertyChange{Name: "state", Val: types.HttpNfcLeaseStateDone},
		types.PropertyChange{Name: "transferProgress", Val: int32(100)})
	l.close()
	body.Res = new(types.HttpNfcLeaseCompleteResponse)
	return body
}

// HttpNfcLeaseAbort ends the import; the machine goes with its files.
func (l *lease) HttpNfcLeaseAbort(ctx *simulator.Context, req *types.HttpNfcLeaseAbort) soap.HasFault {
	body := new(methods.HttpNfcLeaseAbortBody)
	if l.State == types.HttpNfcLeaseStateDone {
		body.Fault_ = simulator.Fault("", new(types.InvalidState))
		return body
	}
	cause := req.Fault
	if cause == nil {
		cause = &types.LocalizedMethodFault{Fault: new(types.RequestCanceled), LocalizedMessage: "The lease was aborted."}
	}
	l.update(ctx, types.PropertyChange{Name: "error", Val: cause},
		types.PropertyChange{Name: "state", Val: types.HttpNfcLeaseStateError})
	l.close()
	l.removeVM(ctx)
	body.Res = new(types.HttpNfcLeaseAbortResponse)
	return body
}

// HttpNfcLeaseProgress shows how far the client is, and keeps the lease alive.
func (l *lease) HttpNfcLeaseProgress(ctx *simulator.Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	body := new(methods.HttpNfcLeaseProgressBody)
	if fault := l.over(); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	l.mu.Lock()
	if l.timer != nil {
		l.timer.Reset(l.patience())
	}
	l.mu.Unlock()
	l.update(ctx, types.PropertyChange{Name: "transferProgress", Val: req.Percent})
	body.Res = new(types.HttpNfcLeaseProgressResponse)
	return body
}

// HttpNfcLeaseSetManifestChecksumType chooses a digest besides SHA-1.
func (l *lease) HttpNfcLeaseSetManifestChecksumType(_ *simulator.Context, req *types.HttpNfcLeaseSetManifestChecksumType) soap.HasFault {
	body := new(methods.HttpNfcLeaseSetManifestChecksumTypeBody)
	for _, kv := range req.DeviceUrlsToChecksumTypes {
		if kv.Value != "sha1" && kv.Value != "sha256" {
			body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "deviceUrlsToChecksumTypes"})
			return body
		}
		l.mu.Lock()
		l.checksum = kv.Value
		l.mu.Unlock()
	}
	body.Res = new(types.HttpNfcLeaseSetManifestChecksumTypeResponse)
	return body
}

// HttpNfcLeaseGetManifest says what has arrived, digest by digest. Whether a
// bare host does so for an import is not documented ("the download manifest"),
// so a test may have it say nothing.
func (l *lease) HttpNfcLeaseGetManifest(*simulator.Context, *types.HttpNfcLeaseGetManifest) soap.HasFault {
	body := new(methods.HttpNfcLeaseGetManifestBody)
	if l.State != types.HttpNfcLeaseStateReady {
		body.Fault_ = simulator.Fault("", new(types.InvalidState))
		return body
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	body.Res = new(types.HttpNfcLeaseGetManifestResponse)
	l.host.mu.Lock()
	silent := l.host.silent
	l.host.mu.Unlock()
	if silent {
		return body
	}
	for _, name := range sortedKeys(l.manifest) {
		entry := l.manifest[name]
		if l.checksum == "" {
			entry.Checksum, entry.ChecksumType = "", ""
		}
		body.Res.Returnval = append(body.Res.Returnval, entry)
	}
	return body
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
