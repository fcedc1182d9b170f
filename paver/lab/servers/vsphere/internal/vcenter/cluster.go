package vcenter

import (
	"reflect"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// cluster answers for ClusterComputeResource.
type cluster struct {
	*simulator.ClusterComputeResource
	v *VCenter
}

// newCluster makes a cluster; what its specification leaves open is off.
func (v *VCenter) newCluster(ctx *simulator.Context, name string, spec types.ClusterConfigSpecEx) *simulator.ClusterComputeResource {
	c := &simulator.ClusterComputeResource{}
	c.Name = name
	v.reg.NewEntity(c)
	c.Summary = &types.ClusterComputeResourceSummary{UsageSummary: &types.ClusterUsageSummary{}}
	c.ConfigurationEx = configured(&types.ClusterConfigInfoEx{
		ComputeResourceConfigInfo: types.ComputeResourceConfigInfo{VmSwapPlacement: string(types.VirtualMachineConfigInfoSwapPlacementTypeVmDirectory)},
		DasConfig:                 types.ClusterDasConfigInfo{Enabled: types.NewBool(false)},
		DrsConfig:                 types.ClusterDrsConfigInfo{Enabled: types.NewBool(false)},
	}, spec)
	c.Configuration = deprecated(c.ConfigurationEx)
	pool := v.newPool(ctx, "Resources", c.Self)
	v.reg.PutEntity(c, pool)
	c.ResourcePool = &pool.Self
	return c
}

func (v *VCenter) newPool(ctx *simulator.Context, name string, owner types.ManagedObjectReference) *simulator.ResourcePool {
	pool := simulator.NewResourcePool(ctx)
	v.reg.NewEntity(pool)
	pool.Name = name
	pool.Owner = owner
	pool.Vm, pool.ResourcePool.ResourcePool = nil, nil
	return pool
}

// configured is a configuration with a specification laid over it.
func configured(old *types.ClusterConfigInfoEx, spec types.ClusterConfigSpecEx) *types.ClusterConfigInfoEx {
	next := *old
	if spec.DasConfig != nil {
		overlay(reflect.ValueOf(&next.DasConfig).Elem(), reflect.ValueOf(*spec.DasConfig))
	}
	if spec.DrsConfig != nil {
		overlay(reflect.ValueOf(&next.DrsConfig).Elem(), reflect.ValueOf(*spec.DrsConfig))
	}
	if s := spec.SystemVMsConfig; s != nil && s.DeploymentMode != "" {
		next.SystemVMsConfig = &types.ClusterSystemVMsConfigInfo{DeploymentMode: s.DeploymentMode}
	}
	if spec.VmSwapPlacement != "" {
		next.VmSwapPlacement = spec.VmSwapPlacement
	}
	if spec.DpmConfig != nil {
		next.DpmConfigInfo = spec.DpmConfig
	}
	if spec.VsanConfig != nil {
		next.VsanConfigInfo = spec.VsanConfig
	}
	return &next
}

// overlay takes over what is set.
func overlay(dst, src reflect.Value) {
	for i := range src.NumField() {
		if !src.Field(i).IsZero() {
			dst.Field(i).Set(src.Field(i))
		}
	}
}

// deprecated is the same configuration in the form that older clients read.
func deprecated(c types.BaseComputeResourceConfigInfo) types.ClusterConfigInfo {
	ex, ok := c.(*types.ClusterConfigInfoEx)
	if !ok {
		return types.ClusterConfigInfo{}
	}
	return types.ClusterConfigInfo{DasConfig: ex.DasConfig, DrsConfig: ex.DrsConfig, DrsVmConfig: ex.DrsVmConfig}
}

func enabled(b *bool) bool { return b != nil && *b }

func drsOf(c *simulator.ClusterComputeResource) bool {
	ex, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx)
	return ok && enabled(ex.DrsConfig.Enabled)
}

func haOf(c *simulator.ClusterComputeResource) bool {
	ex, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx)
	return ok && enabled(ex.DasConfig.Enabled)
}

// AddHostTask takes a host in: it dials it, and believes nothing unseen.
func (c *cluster) AddHostTask(ctx *simulator.Context, req *types.AddHost_Task) soap.HasFault {
	return &methods.AddHost_TaskBody{Res: &types.AddHost_TaskResponse{Returnval: c.v.adding(ctx, c.Self, "addHost", req.Spec)}}
}

// ReconfigureComputeResourceTask changes the cluster's configuration.
func (c *cluster) ReconfigureComputeResourceTask(ctx *simulator.Context, req *types.ReconfigureComputeResource_Task) soap.HasFault {
	return &methods.ReconfigureComputeResource_TaskBody{Res: &types.ReconfigureComputeResource_TaskResponse{
		Returnval: c.v.task(ctx, c.Self, "reconfigure", func() (types.AnyType, types.BaseMethodFault) {
			spec, ok := req.Spec.(*types.ClusterConfigSpecEx)
			if !ok {
				return nil, &types.InvalidArgument{InvalidProperty: "spec"}
			}
			fresh := c.v.front.NewContext()
			inside := c.v.machinesIn(fresh, c.Host)
			var fault types.BaseMethodFault
			fresh.WithLock(c.ClusterComputeResource, func() {
				old, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx)
				if !ok || !req.Modify {
					old = &types.ClusterConfigInfoEx{}
				}
				next := configured(old, *spec)
				if next.DrsVmConfig, fault = c.v.overridden(old.DrsVmConfig, spec.DrsVmConfigSpec, inside); fault != nil {
					return
				}
				fresh.Update(c.ClusterComputeResource, []types.PropertyChange{{Name: "configurationEx", Val: next}})
				c.Configuration = deprecated(next)
			})
			if fault != nil {
				return nil, fault
			}
			c.v.tellHA(c.ClusterComputeResource)
			c.v.agents.tend()
			return nil, nil
		}),
	}}
}

// tellHA tells a cluster's hosts whether HA has taken over starting machines.
func (v *VCenter) tellHA(c *simulator.ClusterComputeResource) {
	for _, ref := range c.Host {
		if l := v.linkOf(ref); l != nil {
			_ = v.hosts.Call("/ha", map[string]any{"server": l.server, "on": haOf(c)}, nil)
		}
	}
}

// lacksFailover reports whether a host's cluster keeps room for a host that
// fails, as HA does unless it is told not to, and has none.
func (v *VCenter) lacksFailover(host types.ManagedObjectReference) bool {
	for _, entity := range v.reg.All("ClusterComputeResource") {
		c, ok := entity.(*simulator.ClusterComputeResource)
		if !ok || !slices.Contains(c.Host, host) {
			continue
		}
		ex, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx)
		control := !ok || ex.DasConfig.AdmissionControlEnabled == nil || *ex.DasConfig.AdmissionControlEnabled
		up := 0
		for _, ref := range c.Host {
			if l := v.linkOf(ref); l != nil && l.isConnected() {
				up++
			}
		}
		return haOf(c) && control && up < 2
	}
	return false
}

// RenameTask gives a cluster another name.
func (c *cluster) RenameTask(ctx *simulator.Context, req *types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: c.v.rename(ctx, c.ClusterComputeResource, req.NewName)}}
}

// DestroyTask removes a cluster; its hosts leave the inventory with it.
func (c *cluster) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: c.v.task(ctx, c.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) {
			return nil, c.v.destroyCluster(c.ClusterComputeResource)
		})}}
}

func (v *VCenter) destroyCluster(c *simulator.ClusterComputeResource) types.BaseMethodFault {
	ctx := v.front.NewContext()
	for _, ref := range slices.Clone(c.Host) {
		h, ok := v.reg.Get(ref).(*simulator.HostSystem)
		if !ok {
			continue
		}
		if fault := v.removeHost(h, true); fault != nil {
			return fault
		}
	}
	for _, p := range v.pools(*c.ResourcePool) {
		v.reg.Remove(ctx, p.Self)
		v.authz.forget(p.Self)
	}
	v.drop(ctx, c)
	return nil
}

// standalone answers for the ComputeResource of a host without a cluster.
type standalone struct {
	*mo.ComputeResource
	v *VCenter
}

// DestroyTask removes the host.
func (s *standalone) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: s.v.task(ctx, s.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) { return nil, s.v.destroyStandalone(s.ComputeResource) })}}
}

func (v *VCenter) destroyStandalone(cr *mo.ComputeResource) types.BaseMethodFault {
	for _, ref := range slices.Clone(cr.Host) {
		if h, ok := v.reg.Get(ref).(*simulator.HostSystem); ok {
			return v.removeHost(h, false)
		}
	}
	v.drop(v.front.NewContext(), cr)
	return nil
}

// pool answers for ResourcePool.
type pool struct {
	*simulator.ResourcePool
	v *VCenter
}

// CreateResourcePool needs DRS on a cluster.
func (p *pool) CreateResourcePool(ctx *simulator.Context, req *types.CreateResourcePool) soap.HasFault {
	owner, _ := p.v.computeOf(p.Self)
	if c, ok := owner.(*simulator.ClusterComputeResource); ok && !drsOf(c) && p.v.refuse.Refuse("pool-without-drs") {
		return &methods.CreateResourcePoolBody{Fault_: simulator.Fault("The cluster has no DRS.", new(types.NotSupported))}
	}
	body := p.ResourcePool.CreateResourcePool(ctx, req)
	if made, ok := body.(*methods.CreateResourcePoolBody); ok && made.Res != nil {
		if e, ok := p.v.reg.Get(made.Res.Returnval).(mo.Entity); ok {
			p.v.announce(e)
		}
	}
	return body
}

// RenameTask gives a pool another name.
func (p *pool) RenameTask(ctx *simulator.Context, req *types.Rename_Task) soap.HasFault {
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: p.v.rename(ctx, p.ResourcePool, req.NewName)}}
}

// DestroyTask removes a pool; its machines go to the pool above.
func (p *pool) DestroyTask(ctx *simulator.Context, _ *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: p.v.task(ctx, p.Self, "destroy",
		func() (types.AnyType, types.BaseMethodFault) { return nil, p.v.destroyPool(p.ResourcePool) })}}
}

func (v *VCenter) destroyPool(p *simulator.ResourcePool) types.BaseMethodFault {
	parent, ok := v.reg.Get(*p.Parent).(*simulator.ResourcePool)
	if !ok {
		return &types.InvalidArgument{} // a cluster's own pool
	}
	ctx := v.front.NewContext()
	for _, ref := range p.ResourcePool.ResourcePool {
		if child, ok := v.reg.Get(ref).(*simulator.ResourcePool); ok {
			ctx.WithLock(child, func() { child.Parent = &parent.Self })
		}
	}
	for _, ref := range p.Vm {
		if vm, ok := v.reg.Get(ref).(*simulator.VirtualMachine); ok {
			ctx.WithLock(vm, func() { vm.ResourcePool = &parent.Self })
		}
	}
	ctx.WithLock(parent, func() {
		children := without(parent.ResourcePool.ResourcePool, p.Self)
		for _, ref := range p.ResourcePool.ResourcePool {
			children = with(children, ref)
		}
		parent.ResourcePool.ResourcePool = children
		for _, ref := range p.Vm {
			parent.Vm = with(parent.Vm, ref)
		}
	})
	v.reg.Remove(ctx, p.Self)
	v.authz.forget(p.Self)
	return nil
}
