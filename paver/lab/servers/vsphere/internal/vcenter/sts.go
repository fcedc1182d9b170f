package vcenter

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	trust   = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	utility = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	stamp   = "2006-01-02T15:04:05.000Z"
)

// serveSTS issues a token to whoever knows an account's password; the
// simulator's own gives the administrator's to anyone.
func (s *sso) serveSTS(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	user, password := usernameToken(raw)
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	if user == "" || !s.valid(user, password) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `%s<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault>`+
			`<faultcode xmlns:ns0="%s">ns0:FailedAuthentication</faultcode><faultstring>Invalid credentials</faultstring>`+
			`</S:Fault></S:Body></S:Envelope>`, xml.Header, trust)
		return
	}
	id := "_" + uuid.NewString()
	s.tokenMu.Lock()
	s.tokens[id] = s.normal(user)
	s.tokenMu.Unlock()
	now := time.Now().UTC()
	var name bytes.Buffer
	_ = xml.EscapeText(&name, []byte(s.normal(user)))
	until := now.Add(5 * time.Minute).Format(stamp)
	_, _ = fmt.Fprintf(w, `%s<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>`+
		`<wst:RequestSecurityTokenResponseCollection xmlns:wst="%s"><wst:RequestSecurityTokenResponse>`+
		`<wst:TokenType>urn:oasis:names:tc:SAML:2.0:assertion</wst:TokenType><wst:RequestedSecurityToken>`+
		`<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="%s" IssueInstant="%s" Version="2.0">`+
		`<saml2:Issuer>https://%s/websso/SAML2/Metadata/%s</saml2:Issuer><saml2:Subject>`+
		`<saml2:NameID Format="http://schemas.xmlsoap.org/claims/UPN">%s</saml2:NameID></saml2:Subject>`+
		`<saml2:Conditions NotBefore="%s" NotOnOrAfter="%s"/></saml2:Assertion></wst:RequestedSecurityToken>`+
		`<wst:Lifetime><wsu:Created xmlns:wsu="%s">%s</wsu:Created><wsu:Expires xmlns:wsu="%s">%s</wsu:Expires></wst:Lifetime>`+
		`</wst:RequestSecurityTokenResponse></wst:RequestSecurityTokenResponseCollection></S:Body></S:Envelope>`,
		xml.Header, trust, id, now.Format(stamp), s.v.config.Name, s.domain, name.String(), now.Format(stamp), until,
		utility, now.Format(stamp), utility, until)
}

// usernameToken reads the name and password in a request's security header.
func usernameToken(raw []byte) (user, password string) {
	dec := xml.NewDecoder(bytes.NewReader(raw))
	inside := false
	for {
		token, err := dec.Token()
		if err != nil {
			return user, password
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "UsernameToken":
			inside = true
		case "Username":
			if inside && dec.DecodeElement(&user, &start) != nil {
				return "", ""
			}
		case "Password":
			if inside && dec.DecodeElement(&password, &start) != nil {
				return "", ""
			}
		}
	}
}
