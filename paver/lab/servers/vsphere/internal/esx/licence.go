package esx

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const evaluationKey = "00000-00000-00000-00000-00000"

// licence is what a host may do.
type licence struct {
	id       string // as the lab's configuration names it
	key      string
	name     string
	edition  string
	readOnly bool // the API refuses every write
}

var licences = []licence{
	{id: "evaluation", key: evaluationKey, name: "Evaluation Mode", edition: "eval"},
	{id: "free", key: "FREE0-FREE0-FREE0-FREE0-FREE0", name: "vSphere 8 Hypervisor", edition: "esxBasic", readOnly: true},
	{id: "standard", key: "STD00-STD00-STD00-STD00-STD00", name: "vSphere 8 Standard", edition: "esx.standard.cpuPackageCoreLimited"},
	{id: "enterprise-plus", key: "EPLUS-EPLUS-EPLUS-EPLUS-EPLUS", name: "vSphere 8 Enterprise Plus", edition: "esx.enterprisePlus.cpuPackageCoreLimited"},
}

func licenceOf(id string) (licence, error) {
	i := slices.IndexFunc(licences, func(l licence) bool { return l.id == id })
	if i < 0 {
		return licence{}, fmt.Errorf("there is no licence %q", id)
	}
	return licences[i], nil
}

func (l licence) info(version string) types.LicenseManagerLicenseInfo {
	properties := []types.KeyAnyValue{
		{Key: "ProductName", Value: "VMware ESX Server"},
		{Key: "ProductVersion", Value: version},
	}
	features := []string{"vsmp:8"}
	if !l.readOnly {
		features = append(features, "vimapi")
	}
	for _, f := range features {
		properties = append(properties, types.KeyAnyValue{Key: "feature", Value: types.KeyValue{Key: f, Value: f}})
	}
	return types.LicenseManagerLicenseInfo{
		LicenseKey: l.key, EditionKey: l.edition, Name: l.name, CostUnit: "cpuPackage", Used: 1, Properties: properties,
	}
}

// licenceManager answers for LicenseManager.
type licenceManager struct {
	*simulator.LicenseManager
	host *Host
}

// showLicence makes the licence in force readable.
func (h *Host) showLicence(ctx *simulator.Context) {
	m, ok := h.reg.Get(types.ManagedObjectReference{Type: "LicenseManager", Value: "ha-license-manager"}).(*simulator.LicenseManager)
	if !ok {
		return
	}
	h.mu.Lock()
	l := h.licence
	h.mu.Unlock()
	ctx.WithLock(m, func() {
		m.LicensedEdition = l.edition
		ctx.Update(m, []types.PropertyChange{
			{Name: "licenses", Val: []types.LicenseManagerLicenseInfo{l.info(h.config.Version)}},
			{Name: "evaluation", Val: Evaluation(time.Now())},
		})
	})
}

// setLicence is the control socket's way: it needs no key.
func (h *Host) setLicence(id string) error {
	l, err := licenceOf(id)
	if err != nil {
		return err
	}
	h.putLicence(h.front.NewContext(), l)
	h.differs()
	return nil
}

// assignLicence is the way of the vCenter that has the host.
func (h *Host) assignLicence(key string) {
	h.putLicence(h.front.NewContext(), licenceFor(key))
	h.differs()
}

func (h *Host) putLicence(ctx *simulator.Context, l licence) {
	h.mu.Lock()
	h.licence = l
	h.mu.Unlock()
	h.showLicence(ctx)
}

// licenceFor is what a key of the right form is for: of those that the lab does
// not know, Enterprise Plus.
func licenceFor(key string) licence {
	if i := slices.IndexFunc(licences, func(l licence) bool { return l.key == key }); i >= 0 {
		return licences[i]
	}
	l, _ := licenceOf("enterprise-plus")
	l.key = key
	return l
}

// LicenceInfo is what a server shows of a host's licence.
func LicenceInfo(key, version string) types.LicenseManagerLicenseInfo {
	return licenceFor(key).info(version)
}

// Evaluation is that of a server which was installed a moment ago. The period is
// shown also where another licence is in force.
func Evaluation(now time.Time) types.LicenseManagerEvaluationInfo {
	const hours = 60 * 24
	return types.LicenseManagerEvaluationInfo{Properties: []types.KeyAnyValue{
		{Key: "expirationHours", Value: int64(hours)},
		{Key: "expirationDate", Value: now.UTC().Add(hours * time.Hour).Truncate(time.Second)},
	}}
}

var keyFormat = regexp.MustCompile(`^([0-9A-Z]{5}-){4}[0-9A-Z]{5}$`)

// UpdateLicense puts a licence on.
func (m *licenceManager) UpdateLicense(ctx *simulator.Context, req *types.UpdateLicense) soap.HasFault {
	body := new(methods.UpdateLicenseBody)
	if !keyFormat.MatchString(req.LicenseKey) && m.host.refuse.Refuse("licence-key") {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "licenseKey"})
		return body
	}
	l := licenceFor(req.LicenseKey)
	m.host.putLicence(ctx, l)
	body.Res = &types.UpdateLicenseResponse{Returnval: l.info(m.host.config.Version)}
	return body
}
