package front

import (
	"slices"
	"strings"
)

// reads is the allow-list of methods that change nothing; every other method
// counts as a write. Prefixes are safe because vSphere names its getters so.
var readPrefixes = []string{"Retrieve", "Query", "Find", "Search", "Read", "Has", "Fetch", "List", "Estimate", "Validate", "Check"}

var reads = []string{
	"CancelRetrievePropertiesEx", "CancelWaitForUpdates", "ContinueRetrievePropertiesEx", "CreateContainerView",
	"CreateCollectorForEvents", "CreateCollectorForTasks", "CreateFilter", "CreateImportSpec", "CreateInventoryView",
	"CreateListView", "CreateListViewFromView", "CreatePropertyCollector", "CurrentTime", "DestroyCollector",
	"DestroyPropertyCollector", "DestroyPropertyFilter", "DestroyView", "GetAlarm", "GetAlarmState", "GetCustomizationSpec",
	"GetLocalPasswordPolicy", "GetManifest", "HttpNfcLeaseGetManifest", "HttpNfcLeaseProgress", "InitiateFileTransferFromGuest", "Login",
	"LoginByToken", "Logout", "ModifyListView", "OpenInventoryViewFolder", "ParseDescriptor", "QueryConfigOption",
	"RefreshDatastore", "RefreshDatastoreStorageInfo", "RefreshDateTimeSystem", "RefreshFirewall", "RefreshNetworkSystem",
	"RefreshServices", "RefreshStorageInfo", "RefreshStorageSystem", "ResetListView", "ResetListViewFromView",
	"SessionIsActive", "SetCollectorPageSize", "WaitForUpdates", "WaitForUpdatesEx", "AcquireCloneTicket", "CloneSession",
	"DecodeLicense", "DecodeLicenseInfo", "Fetch", "RewindCollector", "ResetCollector", "GetTrustedCertificates", "Get",
	"SsoAdminServiceInstance", "SsoGroupcheckServiceInstance", "GetResourceUsage", "ContinueQuery", "GenerateConfigTaskList",
}

// refreshes reports whether a SOAP method, though it changes nothing, shows what
// was changed by others.
func refreshes(method string) bool { return strings.HasPrefix(method, "Refresh") }

// Reading reports whether a SOAP method changes nothing.
func Reading(method string) bool {
	if slices.Contains(reads, method) {
		return true
	}
	for _, p := range readPrefixes {
		if len(method) > len(p) && method[:len(p)] == p {
			return true
		}
	}
	return false
}
