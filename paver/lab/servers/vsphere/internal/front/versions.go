package front

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// apiVersions are the API versions that a vSphere 8 speaks, newest first.
var apiVersions = []string{"9.0.0.0", "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.2", "7.0.2.0", "7.0.1.1", "7.0.0.0", "6.9.1", "6.8.7", "6.7.3", "6.7", "6.5", "6.0", "5.5"}

// APIVersion is the API version of a product version: 8.0.3 speaks 8.0.3.0.
func APIVersion(product string) string {
	for _, v := range apiVersions {
		if strings.HasPrefix(v, product) {
			return v
		}
	}
	return product
}

// ServiceVersions answers /sdk/vimServiceVersions.xml, by which clients choose
// the API version that they speak.
func ServiceVersions(product string) http.HandlerFunc {
	current := APIVersion(product)
	var prior strings.Builder
	older := false
	for _, v := range apiVersions {
		if older {
			fmt.Fprintf(&prior, "<version>%s</version>", v)
		}
		older = older || v == current
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = fmt.Fprintf(w, "%s<namespaces version=\"1.0\"><namespace><name>urn:vim25</name><version>%s</version>"+
			"<priorVersions>%s</priorVersions></namespace></namespaces>\n", xml.Header, current, prior.String())
	}
}
