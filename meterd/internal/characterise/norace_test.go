//go:build !race

package characterise

const raced = false
