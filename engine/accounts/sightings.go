package accounts

import "slices"

// A sighting is when an account was first and last seen with something, in seconds.
type sighting[K comparable] struct {
	key         K
	first, last int64
}

// sightings are those of one account with things of one kind, such as networks. What was not seen for
// 90 days is new when it is seen again.
type sightings[K comparable] []sighting[K]

// first returns when a key was first seen; at if it was not.
func (s sightings[K]) first(key K, at int64) int64 {
	for i := range s {
		if s[i].key == key && at-s[i].last <= memory {
			return s[i].first
		}
	}
	return at
}

// note adds a sighting and reports whether the key is new. A full list loses the key that was seen
// over the shortest time.
func (s *sightings[K]) note(key K, at int64, limit int) (added bool) {
	i := slices.IndexFunc(*s, func(one sighting[K]) bool { return one.key == key })
	if i < 0 {
		if i = len(*s); i < limit {
			*s = append(*s, sighting[K]{})
		} else {
			i = s.least()
		}
	}
	one := &(*s)[i]
	if one.key != key || one.last == 0 || at-one.last > memory {
		*one = sighting[K]{key, at, at}
		return true
	}
	one.first, one.last = min(one.first, at), max(one.last, at)
	return false
}

// least returns the sighting to be dropped.
func (s sightings[K]) least() (least int) {
	for i := range s {
		if span, of := s[i].last-s[i].first, s[least].last-s[least].first; span < of || span == of && s[i].last < s[least].last {
			least = i
		}
	}
	return least
}
