package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"paver.lab/vsphere/internal/esx"
)

// ownKey is the one key that the lab knows of a vCenter's own licence.
const ownKey = "VCSTD-VCSTD-VCSTD-VCSTD-VCSTD"

// licenceManager answers for LicenseManager. What is added is in force for
// nobody until it is assigned.
type licenceManager struct {
	*simulator.LicenseManager
	v *VCenter
}

// AddLicense tells the edition of what is added, which the simulator does not.
func (m *licenceManager) AddLicense(ctx *simulator.Context, req *types.AddLicense) soap.HasFault {
	answer := m.LicenseManager.AddLicense(ctx, req)
	for i := range m.Licenses {
		l := &m.Licenses[i]
		if l.LicenseKey != req.LicenseKey {
			continue
		}
		if labels := l.Labels; l.LicenseKey == ownKey {
			l.EditionKey, l.Name, l.CostUnit = "vc.standard.instance", "vCenter Server 8 Standard", "server"
		} else {
			*l = esx.LicenceInfo(l.LicenseKey, m.v.config.Version)
			l.Labels = labels
		}
		if body, ok := answer.(*methods.AddLicenseBody); ok {
			body.Res.Returnval = *l
		}
	}
	return answer
}

// assignments answers for LicenseAssignmentManager.
type assignments struct {
	*simulator.LicenseAssignmentManager
	v *VCenter
}

// UpdateAssignedLicense gives a host or the vCenter a licence; a host gets it.
func (a *assignments) UpdateAssignedLicense(ctx *simulator.Context, req *types.UpdateAssignedLicense) soap.HasFault {
	answer := a.LicenseAssignmentManager.UpdateAssignedLicense(ctx, req)
	l := a.v.linkOf(types.ManagedObjectReference{Type: "HostSystem", Value: req.Entity})
	if answer.Fault() != nil || l == nil {
		return answer
	}
	l.mu.Lock()
	l.licence = req.LicenseKey
	l.mu.Unlock()
	a.v.giveLicence(l)
	return answer
}

// takeLicence brings the licence that a host comes with into the inventory, where
// it is assigned to it from then on.
func (v *VCenter) takeLicence(l *link, key string) {
	l.mu.Lock()
	l.licence = key
	l.mu.Unlock()
	m, ok := v.reg.Get(*vpx.ServiceContent.LicenseManager).(*simulator.LicenseManager)
	if !ok {
		return
	}
	info, ctx := esx.LicenceInfo(key, v.config.Version), v.front.NewContext()
	ctx.WithLock(m, func() {
		if !slices.ContainsFunc(m.Licenses, func(l types.LicenseManagerLicenseInfo) bool { return l.LicenseKey == key }) {
			m.Licenses = append(m.Licenses, info)
		}
	})
	a, ok := v.reg.Get(*m.LicenseAssignmentManager).(*simulator.LicenseAssignmentManager)
	if !ok {
		return
	}
	ctx.WithLock(a, func() {
		list := slices.Clone(a.QueryAssignedLicensesResponse.Returnval)
		for i := range list {
			if list[i].EntityId == l.ref.Value {
				list[i].AssignedLicense = info
			}
		}
		a.QueryAssignedLicensesResponse.Returnval = list
	})
}

// giveLicence has a host have the licence that is assigned to it.
func (v *VCenter) giveLicence(l *link) {
	l.mu.Lock()
	key := l.licence
	l.mu.Unlock()
	_ = v.hosts.Call("/licence-key", map[string]string{"server": l.server, "key": key}, nil)
}

// keepLicence puts back what somebody set on the host itself.
func (v *VCenter) keepLicence(l *link, seen string) {
	l.mu.Lock()
	changed := l.licence != "" && l.licence != seen
	l.mu.Unlock()
	if changed && v.refuse.Refuse("licence-on-host") {
		v.giveLicence(l)
	}
}
