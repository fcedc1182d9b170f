package front

import "testing"

func TestParseCallReadsMethodObjectAndLogin(t *testing.T) {
	tests := []struct {
		name, body string
		want       call
	}{
		{
			"a call",
			`<S:Envelope xmlns:S="s"><S:Header><a>b</a></S:Header><S:Body><PowerOnVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">vm-1</_this></PowerOnVM_Task></S:Body></S:Envelope>`,
			call{method: "PowerOnVM_Task", kind: "VirtualMachine", target: "vm-1"},
		},
		{
			"a login",
			`<Envelope><Body><Login><_this type="SessionManager">sm</_this><userName>root</userName><password>secret</password></Login></Body></Envelope>`,
			call{method: "Login", kind: "SessionManager", target: "sm", login: "root"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCall([]byte(tt.body))
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for _, body := range []string{"", "no xml", "<Envelope><Body></Body></Envelope>"} {
		if _, err := parseCall([]byte(body)); err == nil {
			t.Errorf("%q passed for a call", body)
		}
	}
}

func TestReadingKnowsGettersFromSetters(t *testing.T) {
	for _, m := range []string{"RetrievePropertiesEx", "Fetch", "Login", "SearchDatastore_Task", "WaitForUpdatesEx", "HttpNfcLeaseGetManifest"} {
		if !Reading(m) {
			t.Errorf("%s counts as a write", m)
		}
	}
	for _, m := range []string{"AddPortGroup", "PowerOnVM_Task", "ImportVApp", "UpdateLicense", "Destroy_Task", "NoSuchMethod"} {
		if Reading(m) {
			t.Errorf("%s counts as a read", m)
		}
	}
}

func TestFaultOfNamesTheFault(t *testing.T) {
	answer := `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><detail><NotFoundFault xmlns="urn:vim25" xsi:type="NotFound"></NotFoundFault></detail></soapenv:Fault>`
	if got := faultOf([]byte(answer)); got != "NotFound" {
		t.Errorf("got %q", got)
	}
	if got := faultOf([]byte("<returnval>NotFound</returnval>")); got != "" {
		t.Errorf("got %q for an answer without a fault", got)
	}
}
