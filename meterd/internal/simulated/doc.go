// Package simulated has power sources with no hardware behind them, whose true energy is known: OpenLocal computes it in
// closed form, OpenURL reads it from a runner simulate. Every meter says that it is simulated.
package simulated
