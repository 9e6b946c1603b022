//! Which addresses are public: those that anybody on the internet may ask for, and nobody's own network.
//!
//! IPv4 is public outside every range set aside for something else. IPv6 is public only where addresses are given out at
//! all, less what is set aside there. An address that carries another one in it is judged by that one as well: a gateway
//! may send it there.
//!
//! Source: the special-purpose registries of IANA, <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// IPv4 that is not public.
const SPECIAL_V4: [Ipv4Net; 18] = [
    v4([0, 0, 0, 0], 8),       // this network, RFC 791 section 3.2; Linux takes 0.0.0.0 for itself
    v4([10, 0, 0, 0], 8),      // private, RFC 1918
    v4([100, 64, 0, 0], 10),   // shared by a provider's customers, RFC 6598
    v4([127, 0, 0, 0], 8),     // loopback, RFC 1122 section 3.2.1.3
    v4([169, 254, 0, 0], 16),  // link-local, RFC 3927; clouds tell secrets at 169.254.169.254
    v4([172, 16, 0, 0], 12),   // private, RFC 1918
    v4([192, 0, 0, 0], 24),    // protocol assignments, RFC 6890 section 2.1
    v4([192, 0, 2, 0], 24),    // documentation, RFC 5737
    v4([192, 31, 196, 0], 24), // AS112, answered by whoever is near, RFC 7535
    v4([192, 52, 193, 0], 24), // multicast tunnels, RFC 7450
    v4([192, 88, 99, 0], 24),  // relays of 6to4, RFC 7526
    v4([192, 168, 0, 0], 16),  // private, RFC 1918
    v4([192, 175, 48, 0], 24), // AS112, RFC 7534
    v4([198, 18, 0, 0], 15),   // benchmarks, RFC 2544
    v4([198, 51, 100, 0], 24), // documentation, RFC 5737
    v4([203, 0, 113, 0], 24),  // documentation, RFC 5737
    v4([224, 0, 0, 0], 4),     // multicast, RFC 1112
    v4([240, 0, 0, 0], 4),     // reserved, RFC 1112, and broadcast, RFC 919
];

/// Where IPv6 addresses are given out, RFC 4291 section 2.4. Loopback, link-local, unique local (RFC 4193), multicast,
/// the discard prefix (RFC 6666), local NAT64 (RFC 8215) and SRv6 (RFC 9602) all lie outside.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// What is set aside within it.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0], 23), // protocol assignments, RFC 2928: Teredo (RFC 4380), benchmarks (RFC 5180), ORCHID (RFC 7343)
    v6([0x2001, 0xdb8, 0], 32), // documentation, RFC 3849
    v6([0x2002, 0, 0], 16), // 6to4, RFC 3056: leads to the IPv4 address in it
    v6([0x3fff, 0, 0], 20), // documentation, RFC 9637
];

/// NAT64's well-known prefix, RFC 6052: a gateway takes the last 32 bits for an IPv4 address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b, c]: [u16; 3], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// Whether anybody on the internet may be expected at the address.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            // RFC 4291 section 2.5.5.2: the system connects by IPv4.
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|range| range.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if NAT64.contains(&address) {
        return is_public_v4(last_32_bits(address));
    }
    let given_out = GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|range| range.contains(&address));
    given_out && (!is_isatap(address) || is_public_v4(last_32_bits(address)))
}

/// RFC 5214 section 6.1: under any prefix, an interface identifier of `0:5efe` or `200:5efe` and an IPv4 address.
fn is_isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, flags, mark, _, _] = address.segments();
    flags & !0x0200 == 0 && mark == 0x5efe
}

fn last_32_bits(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}
