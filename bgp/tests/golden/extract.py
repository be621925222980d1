#!/usr/bin/env python3
"""Prints the BGP messages that one address sent in a capture: one line of hex each. Used by capture.sh."""
import struct
import sys

path, sender, _name, provenance = sys.argv[1:]
data = open(path, "rb").read()
offset, streams = 24, {}
while offset < len(data):
    length = struct.unpack_from("<I", data, offset + 8)[0]
    frame = data[offset + 16:offset + 16 + length]
    offset += 16 + length
    if frame[12:14] != b"\x08\x00":
        continue
    ip = frame[14:14 + struct.unpack_from(">H", frame, 16)[0]]
    if ".".join(map(str, ip[12:16])) != sender:
        continue
    tcp = ip[(ip[0] & 15) * 4:]
    ports, seq = tcp[:4], struct.unpack_from(">I", tcp, 4)[0]
    payload = tcp[(tcp[12] >> 4) * 4:]
    if payload:
        streams.setdefault(ports, {})[seq] = payload

print(f"# {provenance}")
seen = set()
for segments in streams.values():
    stream, end = b"", None
    for seq in sorted(segments):
        payload = segments[seq]
        if end is not None and seq < end:
            payload = payload[end - seq:]
        stream += payload
        end = max(end or 0, seq + len(segments[seq]))
    while len(stream) >= 19:
        length = struct.unpack_from(">H", stream, 16)[0]
        message, stream = stream[:length], stream[length:]
        if message not in seen:
            seen.add(message)
            print(message.hex())
