package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/config"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// clusterName is the one cluster there is.
const clusterName = "active"

// openStore makes the schema where there is none and registers the namespaces.
func openStore(options *options) (*config.SQL, error) {
	sql := &config.SQL{PluginName: sqliteplugin.PluginName}
	if options.dbFilename == "" {
		sql.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
		sql.DatabaseName = fmt.Sprintf("reference-%d", os.Getpid())
	} else {
		sql.ConnectAttributes = map[string]string{"mode": "rwc"}
		sql.DatabaseName = options.dbFilename
	}
	for _, pragma := range options.sqlitePragmas {
		key, value, _ := strings.Cut(pragma, "=")
		sql.ConnectAttributes[key] = value
	}
	if options.dbFilename != "" {
		if _, err := os.Stat(options.dbFilename); errors.Is(err, fs.ErrNotExist) {
			if err := sqliteschema.SetupSchema(sql); err != nil {
				return nil, err
			}
		}
	}

	attributes := map[string]enumspb.IndexedValueType{}
	for _, attribute := range options.searchAttributes {
		name, kind, _ := strings.Cut(attribute, "=")
		value, err := enumspb.IndexedValueTypeFromString(kind)
		if err != nil {
			return nil, fmt.Errorf("--search-attribute %s: %w", attribute, err)
		}
		attributes[name] = value
	}
	for _, name := range options.namespaces {
		namespace, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, attributes)
		if err != nil {
			return nil, err
		}
		if err := sqliteschema.CreateNamespaces(sql, namespace); err != nil {
			return nil, err
		}
	}
	return sql, nil
}
