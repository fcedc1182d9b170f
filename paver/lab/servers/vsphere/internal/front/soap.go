package front

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
	vimxml "github.com/vmware/govmomi/vim25/xml"
)

// call is what the front needs to know of a SOAP request; the simulator
// decodes the rest.
type call struct {
	method string
	kind   string // type of the managed object
	target string // its id
	login  string // the user name of a Login
}

// errNoMethod is a request whose body has no method element.
var errNoMethod = errors.New("no method in the SOAP body")

// parseCall reads the method, the object and, for a Login, the user name.
func parseCall(body []byte) (call, error) {
	var c call
	dec := xml.NewDecoder(bytes.NewReader(body))
	inBody := false
	for {
		token, err := dec.Token()
		if err != nil {
			if c.method != "" {
				return c, nil
			}
			return c, errNoMethod
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch {
		case !inBody:
			inBody = start.Name.Local == "Body"
		case c.method == "":
			c.method = start.Name.Local
		case start.Name.Local == "_this":
			for _, a := range start.Attr {
				if a.Name.Local == "type" && a.Name.Space == "" {
					c.kind = a.Value
				}
			}
			if err := dec.DecodeElement(&c.target, &start); err != nil {
				return c, err
			}
			if c.method != "Login" {
				return c, nil
			}
		case c.method == "Login" && start.Name.Local == "userName":
			err := dec.DecodeElement(&c.login, &start)
			return c, err
		}
	}
}

var faultInAnswer = regexp.MustCompile(`<detail><\w*Fault [^>]*?xsi:type="(\w+)"`)

// faultOf names the fault in a SOAP answer, "" when there is none.
func faultOf(answer []byte) string {
	if m := faultInAnswer.FindSubmatch(answer); m != nil {
		return string(m[1])
	}
	if bytes.Contains(answer, []byte("faultcode")) {
		return "SystemError"
	}
	return ""
}

type faultDetail struct{ Fault types.BaseMethodFault }

// MarshalXML writes the fault the way vSphere does: <NotFoundFault xsi:type="NotFound">.
func (d faultDetail) MarshalXML(e *vimxml.Encoder, start vimxml.StartElement) error {
	kind := reflect.TypeOf(d.Fault).Elem().Name()
	start.Name.Local = kind + "Fault"
	start.Attr = append(start.Attr,
		vimxml.Attr{Name: vimxml.Name{Local: "xmlns"}, Value: "urn:" + vim25.Namespace},
		vimxml.Attr{Name: vimxml.Name{Local: "xsi:type"}, Value: kind})
	return e.EncodeElement(d.Fault, start)
}

const (
	envelopeOpen = xml.Header + `<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"` +
		` xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>`
	envelopeClose = `</soapenv:Body></soapenv:Envelope>`
)

// writeFault answers a SOAP call with a fault.
func writeFault(w http.ResponseWriter, fault types.BaseMethodFault, message string) {
	var detail bytes.Buffer
	if err := vimxml.NewEncoder(&detail).Encode(faultDetail{fault}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(message))
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = fmt.Fprintf(w, "%s<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>"+
		"<detail>%s</detail></soapenv:Fault>%s", envelopeOpen, text.String(), detail.String(), envelopeClose)
}

// writeTask answers a *_Task call with the reference of a task.
func writeTask(w http.ResponseWriter, method string, task types.ManagedObjectReference) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = fmt.Fprintf(w, `%s<%sResponse xmlns="urn:vim25"><returnval type="Task">%s</returnval></%sResponse>%s`,
		envelopeOpen, method, task.Value, method, envelopeClose)
}

// writeAnswer answers a SOAP call with a value of govmomi's types.
func writeAnswer(w http.ResponseWriter, body any, namespace string) {
	var out bytes.Buffer
	start := vimxml.StartElement{Name: vimxml.Name{Space: namespace, Local: reflect.TypeOf(body).Elem().Name()}}
	if err := vimxml.NewEncoder(&out).EncodeElement(body, start); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = fmt.Fprint(w, envelopeOpen, out.String(), envelopeClose)
}

// NewFault makes a fault by its type's name, as the control socket names it.
func NewFault(name string) (types.BaseMethodFault, error) {
	kind, ok := types.TypeFunc()(name)
	if !ok {
		return nil, fmt.Errorf("vSphere has no fault called %q", name)
	}
	fault, ok := reflect.New(kind).Interface().(types.BaseMethodFault)
	if !ok {
		return nil, fmt.Errorf("%q is not a fault", name)
	}
	return fault, nil
}

// readAll reads a request body up to a bound that no legitimate call reaches.
func readAll(r io.Reader) ([]byte, error) {
	const limit = 64 << 20
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && len(body) > limit {
		err = errors.New("request too large")
	}
	return body, err
}

// isTask reports whether the method answers with a task.
func isTask(method string) bool { return strings.HasSuffix(method, "_Task") }
