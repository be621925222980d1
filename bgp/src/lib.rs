//! BGP and EVPN, sans-IO: bytes, events and `now` in; bytes, events and deadlines out.
//!
//! | module | is | knows nothing of |
//! |---|---|---|
//! | [`discovery`] | who is at the other end of a link: router advertisements | BGP, sockets, the clock |
//! | [`types`] | identifiers: AS numbers, route distinguishers, route targets | the wire |
//! | [`wire`] | bytes to messages and back, RFC 7606 verdicts | policy, sessions |
//! | [`policy`] | prefix, community and AS path lists, route maps | where routes come from and go to |
//! | `session` | one neighbour's state machine: OPEN, timers, collisions | routes |
//! | `rib` | tables of all families, best path, what each neighbour is told | sessions, transport |
//! | [`speaker`] | sessions and tables behind `handle_*` and `poll_*`; graceful restart | sockets, the clock |
//! | [`bfd`] | BFD sessions and their packets | BGP, sockets, the clock |
//! | [`mrt`] | the tables as a dump that other tools read | how they are kept |
//! | [`net`] | moves the bytes and keeps the time, on tokio; the only I/O (feature `net`) | what the bytes mean |
//!
//! What the daemon makes of EVPN routes (VNIs, MACs, flood lists) is in the crate `vtep`.
//!
//! # Standards
//!
//! "pair" tests are two or more speakers with a virtual clock, in `tests/`.
//!
//! | RFC | what | state | test |
//! |---|---|---|---|
//! | 4271 §8 | state machine, timers, jitter, back-off | yes | `tests/session.rs` |
//! | 4271 §6.8, 6286 | connection collision, identifiers | yes | `tests/session.rs`, `session::collision` |
//! | 4271 §9.1 | best path; IGP cost to the next hop and its reachability are the kernel's | partly | `rib::best_path` |
//! | 4271 §5, §9.2 | attributes per kind of neighbour, split horizon | yes | `tests/routes.rs` |
//! | 4271 §9.2.1.1 | MRAI per neighbour, off by default; changes coalesce while a neighbour is busy | yes | `tests/mrai.rs`, `tests/routes.rs` |
//! | 4271 §9.2.2.2 | aggregates, without AS_SET: the daemon says when there is one, neighbours are not told what is inside | yes | `tests/originate.rs`, `tests::underlay redistribution` |
//! | 1997 | NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED in all families | yes | `tests/routes.rs`, `tests/evpn.rs` |
//! | 2385 | TCP MD5 signatures | yes | `net::options`, `tests::underlay md5` |
//! | 2918, 7313 | route refresh, with begin and end marks; asked for when an import policy changes | yes | `tests/routes.rs`, `tests/policy.rs` |
//! | 4360, 5668 | extended communities; non-transitive ones stay in the AS | yes | `wire` |
//! | 4456 | route reflection | yes | `tests/routes.rs`, `tests/evpn.rs` |
//! | 4486, 9003 | cease reasons, shutdown text; most prefixes per neighbour and family | yes | `tests/session.rs`, `tests/limits.rs` |
//! | 4724 | graceful restart, both roles, all families | yes | `tests/restart.rs` |
//! | 8538 | the same after a NOTIFICATION or an expired hold timer | yes, off by default | `tests/restart.rs` |
//! | 4760 | multiprotocol: IPv4 and IPv6 unicast, L2VPN EVPN | yes | `tests/routes.rs` |
//! | 5082 | GTSM: the minimum TTL of a connection that is accepted counts from then on, not for its handshake | yes | `speaker::transport`, `tests::underlay distance` |
//! | 5492 | capabilities; no second try without them | partly | `session::negotiate` |
//! | 6608 | FSM error subcodes | yes | `tests/session.rs` |
//! | 6793 | four-octet AS numbers | yes | `tests/session.rs`, `wire` |
//! | 7432 | EVPN routes 1 to 4 carried; MAC mobility in best path | yes | `tests/evpn.rs` |
//! | 9251, 9572 and others | EVPN routes of other types relayed unchanged | yes | `tests/evpn.rs` |
//! | 9136 | EVPN type 5 carried | yes | `wire` |
//! | 6396 | MRT dump of the tables | yes | `tests/mrt.rs`, `tests::underlay mrt` |
//! | 5880, 5881, 5883 | BFD, single and multihop; no authentication, no echo ([`bfd`]) | yes | `bfd`, `tests::underlay bfd` |
//! | 5882, 9384 | BFD down ends a session and takes its routes; a peer's AdminDown does not | yes | `tests/bfd.rs`, `tests::underlay bfd` |
//! | 7606 | discard, treat-as-withdraw, reset: `docs/rfc7606.md` | yes | `tests/rfc7606.rs`, `wire` |
//! | 7607, 9774 | AS 0 and AS sets are refused | yes | `wire` |
//! | 7999 | BLACKHOLE goes no further than our AS; traffic is not dropped | partly | `tests/paths.rs` |
//! | 8326 | graceful shutdown, received and our own, of all or one neighbour, while sessions are up | yes | `tests/paths.rs`, `tests/graceful_shutdown.rs`, `tests::underlay graceful_shutdown` |
//! | 7854 | BMP: UPDATEs as they came, sessions, counts | yes, but no mirroring of others | `tests/bmp.rs` |
//! | 8092 | large communities | yes | `wire` |
//! | 8654 | extended messages | yes | `wire`, `session::negotiate` |
//! | 2545, 8950 | IPv6 next hops, also of IPv4 routes; link-local ones in every form that is sent | yes | `tests/routes.rs`, `tests/unnumbered.rs`, `wire` |
//! | draft-walton-bgp-hostname-capability | names of speakers, in summaries | yes | `wire`, `tests::underlay unnumbered` |
//! | draft-ietf-idr-linklocal-capability | a link-local next hop alone, on unnumbered sessions | yes | `tests/unnumbered.rs` |
//! | 9072 | long OPEN parameters | yes | `wire` |
//! | 9687 | send hold timer | yes | `session::timers` |
//! | 5925 | TCP-AO | no | |
//! | 4684 | route target constraint | no | |
//! | 4861 §6 | router advertisements and solicitations, to find unnumbered neighbours | as far as they need it | `discovery::tests`, `tests/unnumbered.rs`, `tests::underlay unnumbered` |
//! | 5065 | confederations: path segments are read, we are in none | no | |
//! | 7911 | ADD-PATH both ways, all families | yes | `tests/add_path.rs` |
//! | 8212 | no policy, no routes | yes, off by default | `tests/policy.rs` |
//! | 9234 | roles, ONLY_TO_CUSTOMER in IPv4 and IPv6 unicast | yes | `tests/roles.rs` |
//! | 9494 | long-lived graceful restart, both roles; §4.6 (partial deployment) is not | yes, off by default | `tests/long_lived.rs` |
//!
//! Beyond RFCs: unicast routes are told only while they forward, if asked for (FRR's `suppress-fib-pending`;
//! [`speaker::Speaker::handle_fib`], `tests/fib.rs`). Several paths may share the load, by FRR's rules
//! ([`speaker::Multipath`], `tests/multipath.rs`); what the link bandwidth community (draft-ietf-idr-link-bandwidth) makes of
//! their shares is up to who installs them. An external neighbour may take us for another AS ([`speaker::LocalAs`], FRR's
//! `local-as`; `tests/local_as.rs`, `tests::underlay local_as`).

pub mod bfd;
mod bmp;
pub mod discovery;
pub mod mrt;
#[cfg(feature = "net")]
pub mod net;
pub mod policy;
mod rib;
mod session;
pub mod speaker;
pub mod types;
pub mod wire;
