package main

import (
	"github.com/spf13/cobra"

	"agentwatt/shared/manual"
)

func manCommand() *cobra.Command {
	return manual.Command(manual.Program{
		Section: "1", Version: version, File: "runner.yaml", About: "experiment file of runner search", Reference: []byte(referenceConfig),
	})
}
