package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/metrics"
)

// newConfig describes one cluster of one host, all services in this process.
func newConfig(options *options, sql *config.SQL) *config.Config {
	settings := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: "sqlite", VisibilityStore: "sqlite", NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{"sqlite": {SQL: sql}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, RPCAddress: options.address(),
				HTTPAddress: fmt.Sprintf("%s:%d", options.ip, options.httpPort),
				ClusterID:   "00000000-0000-0000-0000-000000000001",
			}},
		},
		Services: map[string]config.Service{
			"frontend": service(options.ip, options.port, options.httpPort),
			"history":  service(options.ip, options.innerPorts[0], 0),
			"matching": service(options.ip, options.innerPorts[1], 0),
			"worker":   service(options.ip, options.innerPorts[2], 0),
		},
	}
	settings.Global.Membership.MaxJoinDuration = 30 * time.Second
	settings.Global.Membership.BroadcastAddress = options.ip
	settings.Global.Metrics = &metrics.Config{}
	settings.DCRedirectionPolicy.Policy = "noop"
	settings.Archival.History.State = "disabled"
	settings.Archival.Visibility.State = "disabled"
	settings.NamespaceDefaults.Archival.History.State = "disabled"
	settings.NamespaceDefaults.Archival.Visibility.State = "disabled"
	settings.PublicClient.HostPort = options.address()
	return settings
}

func service(ip string, grpcPort, httpPort int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: grpcPort, BindOnIP: ip, HTTPPort: httpPort}}
}

// dynamicConfig is what the CLI's dev server sets, and then the command line's KEY=JSON pairs.
func dynamicConfig(pairs []string) (dynamicconfig.Client, error) {
	values := dynamicconfig.StaticClient{
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                        8096,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        100,
		dynamicconfig.MakeKey("activity.enableStandalone"):                      true,
		dynamicconfig.MakeKey("history.enableChasm"):                            true,
		dynamicconfig.MakeKey("system.forceSearchAttributesCacheRefreshOnRead"): true,
		dynamicconfig.MakeKey("system.forceNexusEndpointRefreshOnRead"):         true,
		dynamicconfig.MakeKey("frontend.persistenceMaxQPS"):                     10000,
		dynamicconfig.MakeKey("history.persistenceMaxQPS"):                      45000,
		// A peer in tests calls nobody.
		dynamicconfig.MakeKey("frontend.enableServerVersionCheck"): false,
	}
	for _, pair := range pairs {
		key, text, _ := strings.Cut(pair, "=")
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("--dynamic-config-value %s: %w", pair, err)
		}
		// JSON has one kind of number, the settings two.
		if number, ok := value.(float64); ok && number == float64(int(number)) {
			value = int(number)
		}
		values[dynamicconfig.MakeKey(key)] = value
	}
	return values, nil
}
