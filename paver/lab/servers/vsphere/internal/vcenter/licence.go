package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// ownKey is the one key that the lab knows of a vCenter's own licence.
const ownKey = "VCSTD-VCSTD-VCSTD-VCSTD-VCSTD"

// licenceManager answers for LicenseManager. What is added is in force for
// nobody until it is assigned.
type licenceManager struct{ *simulator.LicenseManager }

// AddLicense tells the edition of what is added, which the simulator does not.
func (m *licenceManager) AddLicense(ctx *simulator.Context, req *types.AddLicense) soap.HasFault {
	answer := m.LicenseManager.AddLicense(ctx, req)
	for i := range m.Licenses {
		if l := &m.Licenses[i]; l.LicenseKey == ownKey {
			l.EditionKey, l.Name, l.CostUnit = "vc.standard.instance", "vCenter Server 8 Standard", "server"
			if body, ok := answer.(*methods.AddLicenseBody); ok && req.LicenseKey == ownKey {
				body.Res.Returnval = *l
			}
		}
	}
	return answer
}
