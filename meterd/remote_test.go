package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/go-cmp/cmp"
)

const remoteSecret = "c0rrect-h0rse"

// From the configuration with its password files to the values: a BMC over RMCP+ and a host over Redfish, both with credentials. A
// wrong password and a service with another certificate are absent, with a reason and a hint, and no secret in it.
func TestProbeReadsBMCAndRedfish(t *testing.T) {
	dir := t.TempDir()
	secret := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := secret("good", remoteSecret), secret("bad", "wr0ng-p0ny")
	address := serveBMC(t)
	url, pin := serveRedfish(t)
	conf := fmt.Sprintf(`
sys_root: %s
sources:
  nvml: {enabled: false}
  amdsmi: {enabled: false}
  ipmi:
    device: %s/none
    bmcs:
    - {name: gpu1, address: '%s', user: meter, password_file: %s}
    - {name: gpu2, address: '%s', user: meter, password_file: %s}
  redfish:
    services:
    - {name: host1, url: '%s', user: meter, password_file: %s, fingerprint: '%s'}
    - {name: host2, url: '%s', user: meter, password_file: %s, fingerprint: '%s'}
`, dir, dir, address, good, address, bad, url, good, pin, url, good, strings.Repeat("00", 32))
	s, printed := probed(t, conf)
	got := map[string]string{}
	for _, src := range s.Sources {
		for _, m := range src.Meters {
			got[m.ID] = m.Value + " " + string(m.Scope)
		}
	}
	want := map[string]string{
		"ipmi/gpu1/dcmi": "319 W node", "redfish/host1/Chassis/1/power": "438.5 W node", "redfish/host1/Chassis/1/energy": "277100 Wh node",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-served +probe):\n%s", diff)
	}
	for source, reason := range map[string]string{"ipmi/gpu2": "refuse", "redfish/host2": "certificate"} {
		found := false
		for _, a := range s.Absent {
			found = found || a.Source == source && strings.Contains(a.Reason, reason) && a.Fix != ""
		}
		if !found {
			t.Errorf("%s: not absent because of %q with a hint: %+v", source, reason, s.Absent)
		}
	}
	if strings.Contains(printed, remoteSecret) || strings.Contains(printed, "wr0ng") {
		t.Error("a secret was printed")
	}
}

// serveBMC is a BMC of go-ipmi's with the DCMI reading of an OpenBMC: 319 W, called inactive although it is valid.
func serveBMC(t *testing.T) (address string) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	b := bmc.New(bmc.DeviceInfo{DeviceID: 32, IPMIVersion: 0x20, ManufacturerID: 674, ProductID: 256}, [16]byte{1, 2, 3}, mock.New())
	user, err := b.Users.Add(2, "meter")
	if err != nil {
		t.Fatal(err)
	}
	user.SetPassword([]byte(remoteSecret))
	user.Enabled = true
	user.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelUser, Enabled: true}
	registry := handlers.NewRegistry()
	handlers.RegisterAllHandlers(registry)
	for command, answer := range map[types.Command][]byte{
		types.CommandGetDCMIPowerReading:      {0xdc, 0x3f, 1, 0x3f, 1, 0x3f, 1, 0x3f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		types.CommandGetDCMICapParam:          {0xdc, 1, 5, 2, 0, 1, 7},
		types.CommandGetChassisStatus:         {1, 0, 0},
		types.CommandSetSessionPrivilegeLevel: {2},
	} {
		registry.RegisterFunc(command, func(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
			return answer, types.CodeOK, nil
		})
	}
	s := server.NewServer(b, udp.Wrap(conn), server.WithHandlerRegistry(registry))
	var done sync.WaitGroup
	done.Go(func() { s.Serve(context.Background()) })
	t.Cleanup(func() { s.Close(); done.Wait() })
	return conn.LocalAddr().String()
}

// serveRedfish is a host with one chassis, for user meter, and the fingerprint of its certificate.
func serveRedfish(t *testing.T) (url, pin string) {
	t.Helper()
	docs := map[string]string{
		"/redfish/v1": `{"@odata.id": "/redfish/v1", "Id": "Root", "Name": "Root", "Chassis": {"@odata.id": "/redfish/v1/Chassis"}}`,
		"/redfish/v1/Chassis": `{"@odata.id": "/redfish/v1/Chassis", "Name": "C", "Members@odata.count": 1,
			"Members": [{"@odata.id": "/redfish/v1/Chassis/1"}]}`,
		"/redfish/v1/Chassis/1": `{"@odata.id": "/redfish/v1/Chassis/1", "Id": "1", "Name": "Host", "ChassisType": "RackMount",
			"EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/1/EnvironmentMetrics"}}`,
		"/redfish/v1/Chassis/1/EnvironmentMetrics": `{"@odata.id": "/redfish/v1/Chassis/1/EnvironmentMetrics", "Id": "E", "Name": "E",
			"PowerWatts": {"Reading": 438.5}, "EnergykWh": {"Reading": 277.1}}`,
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		doc, ok := docs[strings.TrimSuffix(r.URL.Path, "/")]
		switch {
		case r.URL.Path != "/redfish/v1/" && r.URL.Path != "/redfish/v1" && (user != "meter" || password != remoteSecret):
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, doc)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // that a certificate is refused is what is tested
	s.StartTLS()
	t.Cleanup(s.Close)
	sum := sha256.Sum256(s.Certificate().Raw)
	return s.URL, hex.EncodeToString(sum[:])
}
