package bus

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
)

// accounts is the server's configuration of who may do what. Publishing needs a secret of this run, and a connection
// within the process. Readers are whoever comes without a name.
const accounts = `
accounts {
  METER {
    jetstream: enabled
    users: [ {user: meterd, password: %[1]q, allowed_connection_types: [IN_PROCESS]} ]
    exports: [
      {stream: "power.>"}
      {service: "$JS.API.STREAM.INFO.POWER"}, {service: "$JS.API.DIRECT.GET.POWER", response_type: stream}
    ]
  }
  READ {
    users: [ {user: reader, password: %[1]q, permissions: {
      publish: ["meter.info", "meter.get"]
      subscribe: ["power.>", "_INBOX.>"]
    }} ]
    imports: [
      {stream: {account: METER, subject: "power.>"}}
      {service: {account: METER, subject: "$JS.API.STREAM.INFO.POWER"}, to: "meter.info"}
      {service: {account: METER, subject: "$JS.API.DIRECT.GET.POWER"}, to: "meter.get"}
    ]
  }
}
no_auth_user: reader
`

// authorize makes opts say who may do what.
func (s *Server) authorize(opts *server.Options, _ ServerOptions) error {
	if err := opts.ProcessConfigString(fmt.Sprintf(accounts, s.secret)); err != nil {
		return fmt.Errorf("configure accounts: %w", err)
	}
	return nil
}
