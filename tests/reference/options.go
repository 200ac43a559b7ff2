package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// options is what the command line says.
type options struct {
	ip               string
	port             int
	httpPort         int
	innerPorts       [3]int
	uiPort           int
	headless         bool
	dbFilename       string
	logLevel         string
	namespaces       repeated
	sqlitePragmas    repeated
	dynamicConfig    repeated
	searchAttributes repeated
}

// repeated collects a flag that may be given several times.
type repeated []string

func (r *repeated) String() string         { return strings.Join(*r, ",") }
func (r *repeated) Set(value string) error { *r = append(*r, value); return nil }

// parse reads the arguments and finds a port wherever none is named.
func parse(arguments []string) (*options, error) {
	// The subcommands of the CLI that this program stands in for.
	for len(arguments) > 0 && !strings.HasPrefix(arguments[0], "-") {
		arguments = arguments[1:]
	}
	var o options
	flags := flag.NewFlagSet("server start-dev", flag.ExitOnError)
	flags.StringVar(&o.ip, "ip", "127.0.0.1", "address to listen on")
	flags.IntVar(&o.port, "port", 7233, "port for gRPC, 0 for any free one")
	flags.IntVar(&o.httpPort, "http-port", 0, "port for HTTP, 0 for any free one")
	flags.IntVar(&o.uiPort, "ui-port", 0, "port for the web pages, 0 for none")
	flags.BoolVar(&o.headless, "headless", false, "no web pages")
	flags.StringVar(&o.dbFilename, "db-filename", "", "SQLite file; memory if not given")
	flags.StringVar(&o.logLevel, "log-level", "error", "debug, info, warn, error")
	flags.Var(&o.namespaces, "namespace", "namespace to create; `default` always is")
	flags.Var(&o.sqlitePragmas, "sqlite-pragma", "KEY=VALUE for SQLite")
	flags.Var(&o.dynamicConfig, "dynamic-config-value", "KEY=JSON setting")
	flags.Var(&o.searchAttributes, "search-attribute", "NAME=TYPE to register")
	// Launchers pass these; here they change nothing.
	flags.Int("metrics-port", 0, "accepted, not used")
	flags.String("log-format", "", "accepted, not used")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}

	if !slices.Contains(o.namespaces, "default") {
		o.namespaces = append(o.namespaces, "default")
	}
	for _, port := range []*int{&o.port, &o.httpPort, &o.innerPorts[0], &o.innerPorts[1], &o.innerPorts[2]} {
		if *port != 0 {
			continue
		}
		free, err := freePort()
		if err != nil {
			return nil, err
		}
		*port = free
	}
	return &o, nil
}

func (o *options) address() string { return fmt.Sprintf("%s:%d", o.ip, o.port) }
