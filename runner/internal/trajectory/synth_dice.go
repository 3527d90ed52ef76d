package trajectory

import "math/rand/v2"

// dice makes every choice of the generator. It uses integers only, and no method of rand.Rand whose path depends on the
// word size, so that a seed gives the same bytes on every machine.
type dice struct{ src *rand.PCG }

func newDice(seed, stream uint64) dice { return dice{rand.NewPCG(seed, stream)} }

// below returns 0 to n-1. The bias of n/2^32 does not matter here.
func (d dice) below(n int) int { return int((d.src.Uint64() >> 32) * uint64(n) >> 32) }

// between returns low to high, both included.
func (d dice) between(low, high int) int { return low + d.below(high-low+1) }

// chance is true in percent of 100 cases.
func (d dice) chance(percent int) bool { return d.below(100) < percent }

// pick returns one of list.
func (d dice) pick(list []string) string { return list[d.below(len(list))] }

// favour returns one of list, the first ones far more often, as the names in a program are used.
func (d dice) favour(list []string) string { return list[d.below(d.below(len(list))+1)] }

// quantiles is a distribution of a count: pairs of thousandths and values, linear in between. It begins at 0 and ends at
// 1000.
type quantiles [][2]int

// draw returns a value of the distribution.
func (d dice) draw(q quantiles) int {
	const fine = 1000 // parts of a thousandth
	u := d.below(1000 * fine)
	i := 1
	for u >= q[i][0]*fine {
		i++
	}
	from, to := q[i-1], q[i]
	return from[1] + (u-from[0]*fine)*(to[1]-from[1])/((to[0]-from[0])*fine)
}
