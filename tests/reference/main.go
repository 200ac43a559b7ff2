// The real Temporal server, from its published Go modules: the peer our engine is compared with.
//
// All services in one process, on SQLite in memory or in a file, with the settings of the CLI's dev server:
//
//	temporal-reference server start-dev [--port N] [--db-filename FILE] [--namespace NAME]...
//	    [--search-attribute NAME=TYPE]... [--dynamic-config-value KEY=JSON]... [--sqlite-pragma KEY=VALUE]...
//	    [--ip IP] [--http-port N] [--ui-port N | --headless] [--log-level LEVEL]
//
// It takes the flags that SDKs pass to that dev server, so it stands in for it. Port 0 is any free port. Once it
// accepts calls it prints `listening on IP:PORT`; SIGTERM stops it.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

func main() {
	begin := time.Now()
	options, err := parse(os.Args[1:])
	exitOn(err)
	server, err := newServer(options)
	exitOn(err)
	exitOn(server.Start())
	if options.uiPort != 0 && !options.headless {
		go func() { exitOn(newPages(options).Start()) }()
	}
	fmt.Printf("listening on %s after %d ms\n", options.address(), time.Since(begin).Milliseconds())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	exitOn(server.Stop())
}

func newServer(options *options) (temporal.Server, error) {
	sql, err := openStore(options)
	if err != nil {
		return nil, err
	}
	settings := newConfig(options, sql)
	dynamic, err := dynamicConfig(options.dynamicConfig)
	if err != nil {
		return nil, err
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		port := settings.Services[string(name)].RPC.GRPCPort
		hosts[name] = static.SingleLocalHost(fmt.Sprintf("127.0.0.1:%d", port))
	}
	return temporal.NewServer(
		temporal.WithConfig(settings),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(log.NewZapLogger(log.BuildZapLogger(log.Config{Level: options.logLevel, Stdout: true}))),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamic),
	)
}

func newPages(options *options) *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host: options.ip, Port: options.uiPort, TemporalGRPCAddress: options.address(), EnableUI: true,
		CORS: uiconfig.CORS{CookieInsecure: true}, HideLogs: true, DisableNewsFetch: true,
	}))
}

// freePort returns a port nobody listens on. Somebody may take it before it is used; nothing better is possible for
// the ports of the inner services, which the server wants to know beforehand.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
