package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// attributes answers for CustomFieldsManager.
type attributes struct {
	*simulator.CustomFieldsManager
}

// AddCustomFieldDef says what the values are: text. The simulator says the
// type of the object instead, and nothing for an attribute of all objects.
func (a *attributes) AddCustomFieldDef(ctx *simulator.Context, req *types.AddCustomFieldDef) soap.HasFault {
	body := a.CustomFieldsManager.AddCustomFieldDef(ctx, req)
	made, ok := body.(*methods.AddCustomFieldDefBody)
	if !ok || made.Res == nil {
		return body
	}
	const text = "xsd:string"
	made.Res.Returnval.Type = text
	ctx.WithLock(a.CustomFieldsManager, func() {
		for i := range a.Field {
			if a.Field[i].Key == made.Res.Returnval.Key {
				a.Field[i].Type = text
			}
		}
	})
	return body
}
