package vcenter

import (
	"testing"

	"github.com/vmware/govmomi/vim25/types"
)

func testLink() (*link, types.ManagedObjectReference, types.ManagedObjectReference) {
	l := &link{maps: newRefMap()}
	ours := types.ManagedObjectReference{Type: "Network", Value: "network-7"}
	theirs := types.ManagedObjectReference{Type: "Network", Value: "HaNetwork-bosh"}
	l.maps.put(ours, theirs)
	l.maps.storeHost["datastore1 (1)"] = "datastore1"
	l.maps.storeUs["datastore1"] = "datastore1 (1)"
	return l, ours, theirs
}

func TestTranslateReachesEveryReferenceAndPath(t *testing.T) {
	l, ours, theirs := testLink()
	nic := &types.VirtualVmxnet3{}
	nic.Backing = &types.VirtualEthernetCardNetworkBackingInfo{Network: &ours}
	network := ours
	nic.Backing.(*types.VirtualEthernetCardNetworkBackingInfo).Network = &network
	disk := &types.VirtualDisk{}
	flat := &types.VirtualDiskFlatVer2BackingInfo{}
	flat.FileName = "[datastore1 (1)] vm/vm.vmdk"
	disk.Backing = flat
	req := &types.CreateVM_Task{Config: types.VirtualMachineConfigSpec{
		Annotation: "datastore1 (1) is no path",
		Files:      &types.VirtualMachineFileInfo{VmPathName: "[datastore1 (1)]"},
		DeviceChange: []types.BaseVirtualDeviceConfigSpec{
			&types.VirtualDeviceConfigSpec{Device: nic}, &types.VirtualDeviceConfigSpec{Device: disk},
		},
	}}
	l.translate(req, true)
	if network != theirs {
		t.Errorf("the network is still %v", network)
	}
	if req.Config.Files.VmPathName != "[datastore1]" || flat.FileName != "[datastore1] vm/vm.vmdk" {
		t.Errorf("paths: %q, %q", req.Config.Files.VmPathName, flat.FileName)
	}
	if req.Config.Annotation != "datastore1 (1) is no path" {
		t.Errorf("annotation: %q", req.Config.Annotation)
	}
	l.translate(req, false)
	if network != ours || flat.FileName != "[datastore1 (1)] vm/vm.vmdk" {
		t.Errorf("the way back: %v, %q", network, flat.FileName)
	}
}

func TestTranslateGoesIntoValuesOfInterfaces(t *testing.T) {
	l, ours, theirs := testLink()
	if got := l.ours(types.AnyType(theirs)); got != types.AnyType(ours) {
		t.Errorf("got %v", got)
	}
}

func TestNewerComparesByNumber(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"9.0.0", "8.0.3", true}, {"8.0.3", "8.0.3", false}, {"8.0.10", "8.0.3", true}, {"7.0.3", "8.0.1", false}} {
		if got := newer(tt.a, tt.b); got != tt.want {
			t.Errorf("newer(%s, %s) = %v", tt.a, tt.b, got)
		}
	}
}

func TestWeakFollowsThePasswordPolicy(t *testing.T) {
	for _, bad := range []string{"", "Short1!", "alllower1!", "ALLUPPER1!", "NoDigits!!", "NoSpecial11", "Too-Long-For-The-Policy-1!"} {
		if !weak(bad) {
			t.Errorf("%q passed", bad)
		}
	}
	if weak("Paver-Sso-1!") {
		t.Error("a good one was refused")
	}
}
