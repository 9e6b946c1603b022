"""Judges the rows of testdata/net with Python's own tables and parsers, and explains every difference.

Usage: second_oracle.py ADDRESSES URLS. Prints what it could not explain and ends with status 1; otherwise how many rows it
judged and how many differ for a known reason.
"""

import ipaddress
import json
import re
import socket
import sys
import unicodedata
from urllib.parse import unquote, urlsplit

# Ranges that the service refuses and that some version of Python calls global, with the reason.
STRICTER = [
    ("192.0.0.0/24", "set aside as a whole; Python knows the parts that are in use"),
    ("192.31.196.0/24", "AS112 is answered by whoever is near, perhaps inside"),
    ("192.175.48.0/24", "AS112 is answered by whoever is near, perhaps inside"),
    ("192.52.193.0/24", "multicast relays are found inside a provider's network"),
    ("192.88.99.0/24", "6to4 relays were given up by RFC 7526"),
    ("224.0.0.0/4", "Python calls multicast of global scope global"),
    ("ff00::/8", "Python calls multicast of global scope global"),
    ("2001::/23", "set aside as a whole; Python knows the parts that are in use"),
    ("2002::/16", "6to4 leads to the IPv4 address in it through a relay"),
    ("3fff::/20", "documentation, younger than some tables"),
    ("64:ff9b::/96", "a gateway sends it to the IPv4 address in it, which is not public"),
    ("64:ff9b:1::/48", "local NAT64, younger than some tables"),
    ("100:0:0:1::/64", "younger than some tables"),
    ("5f00::/16", "younger than some tables"),
    ("fec0::/10", "site-local was given up; not given out either"),
    ("::/3", "not given out: only 2000::/3 is"),
    ("4000::/2", "not given out: only 2000::/3 is"),
    ("8000::/1", "not given out: only 2000::/3 is"),
]

# Hosts that Python's parser reads otherwise than browsers do, as the WHATWG has it; the service reads as browsers do.
READ_OTHERWISE = {
    "control characters and spaces are dropped": lambda url: any(ord(c) <= 32 for c in url),
    "a backslash is a slash": lambda url: "\\" in url,
    "slashes after the scheme may lack or be too many": lambda url: not re.match(r"(?i)\s*https?://[^/\\\\]", url),
    "a soft hyphen and a space of no width are dropped": lambda url: any(c in url for c in "\u00ad\u200b"),
    "0x alone is 0": lambda url: "//0x/" in url,
}


def rows(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line and not line.startswith("#"):
                verdict, _, rest = line.partition(" ")
                yield verdict, rest.strip()


def carries(address):
    """The IPv4 address in an IPv6 one that the service judges too."""
    if address.version == 4:
        return None
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return low
    mark = int(address) >> 32 & 0xFFFFFFFF
    return low if mark in (0x00005EFE, 0x02005EFE) else None


def is_global(address):
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_global
    return address.is_global


def reason(address):
    """Why the service may refuse what Python calls global."""
    for network, why in STRICTER:
        network = ipaddress.ip_network(network)
        inner = carries(address)
        if address.version == network.version and address in network:
            return why
        if inner is not None and network.version == 4 and inner in network:
            return why
    inner = carries(address)
    if inner is not None and not inner.is_global:
        return "the IPv4 address in it is not public"
    return None


def judge(address, public, where, faults):
    """1 if Python differs for a known reason."""
    if is_global(address) == public:
        return 0
    if public:
        # Nothing explains that the service reaches what Python holds for special.
        faults.append(f"{where}: the service calls {address} public and Python does not")
    elif reason(address) is None:
        faults.append(f"{where}: Python calls {address} global, and nobody says why it is refused")
    return 1


def address_of(url):
    """The address in a URL as Python and the C library read it; None for a name."""
    host = urlsplit(url).hostname
    host = unicodedata.normalize("NFKC", unquote(host or "")).replace("\u3002", ".").removesuffix(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        # Reads hexadecimal, octal and short forms, as getaddrinfo does.
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None


def main(addresses, urls):
    faults, judged, explained = [], 0, 0
    for verdict, text in rows(addresses):
        text = text.split()[0]
        judged += 1
        explained += judge(ipaddress.ip_address(text), verdict == "public", text, faults)
    for verdict, text in rows(urls):
        url = json.loads(text)
        if verdict not in ("public", "not-public", "name"):
            continue
        judged += 1
        try:
            address = address_of(url)
        except ValueError:
            address = None
        if (address is None) == (verdict == "name"):
            if address is not None:
                explained += judge(address, verdict == "public", text, faults)
        elif any(differs(url) for differs in READ_OTHERWISE.values()):
            explained += 1
        else:
            faults.append(f"{text}: {verdict}, and Python reads {address}")
    for fault in faults:
        print(fault)
    print(f"{judged} rows judged, {explained} differ for a known reason, {len(faults)} for none")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
