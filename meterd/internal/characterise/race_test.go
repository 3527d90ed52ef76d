//go:build race

package characterise

// raced: the race detector makes arithmetic eight times slower, and what is pure has no races. The long tables are cut short.
const raced = true
