package main

import (
	"github.com/spf13/cobra"

	"agentwatt/shared/manual"
)

func manCommand() *cobra.Command {
	return manual.Command(manual.Program{
		Section: "8", Version: version, File: "meterd.yaml", About: "configuration of the power meter daemon", Reference: reference,
	})
}
