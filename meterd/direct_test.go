package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/bustest"
	"agentwatt/shared/evidence"
)

// ask sends one request to a NATS server by hand, as its administrator, and returns the answer.
func ask(address, subject, body string) (string, error) {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	fmt.Fprintf(c, "CONNECT {\"verbose\":false,\"user\":\"admin\",\"pass\":\"secret\"}\r\nSUB answer 1\r\nPUB %s answer %d\r\n%s\r\n", subject, len(body), body)
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == "MSG" {
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return "", err
			}
			data := make([]byte, n)
			_, err = io.ReadFull(r, data)
			return string(data), err
		}
	}
}

// meterd publishes to a cluster that is there already, without a store of its own, through a restart of it.
func TestDirectMode(t *testing.T) {
	dir, address := t.TempDir(), bustest.FreeAddress(t)
	key, err := evidence.LoadKey(filepath.Join(dir, "host.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := bustest.StartServer(t, fmt.Sprintf("listen: %q\njetstream {store_dir: %q, sync_interval: always}\nauthorization: {users: [{nkey: %s}, {user: admin, password: secret}]}\n",
		address, filepath.Join(dir, "js"), key), address)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		answer, err := ask(address, "$JS.API.STREAM.CREATE.ALL", `{"name":"ALL","subjects":["power.>"],"allow_direct":true}`)
		if err == nil && !strings.Contains(answer, `"error"`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("make the stream: %s, %v", answer, err)
		}
	}
	conf := filepath.Join(dir, "meterd.yaml")
	text := fmt.Sprintf("host: h\nsys_root: %s\nkey_file: %s/host.key\ndirect: {url: 'nats://%s', stream: ALL}\nstatus: {listen: ''}\n"+
		"bus: {dir: %s/own, flush: 100ms}\nsources: {nvml: {enabled: false}, simulated: {devices: 1, interval: 50ms}}\n", dir, dir, address, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("meterd", "run", "-c", conf)
	c.Stderr = t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	messages := func(want int) {
		t.Helper()
		var info struct{ State struct{ Messages int } }
		for end := time.Now().Add(30 * time.Second); info.State.Messages < want; time.Sleep(50 * time.Millisecond) {
			if answer, err := ask(address, "$JS.API.STREAM.INFO.ALL", ""); err == nil {
				_ = json.Unmarshal([]byte(answer), &info)
			}
			if time.Now().After(end) {
				_ = c.Process.Kill()
				t.Fatalf("%d messages, want %d", info.State.Messages, want)
			}
		}
	}
	messages(10)
	server.Kill()
	server.Start()
	messages(30)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("meterd stopped with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "own", "jetstream")); err == nil {
		t.Error("there is a store of its own all the same")
	}
}
