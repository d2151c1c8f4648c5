#!/usr/bin/env python3
"""images.py DIRECTORY PROGRAM LISTS... - image archives for image_test.sh, good ones and hostile ones.

PROGRAM is a static one, and LISTS are files that it reads in /etc/screen. Names are what is tested.
"""
import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile

out, program, lists = sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3:]
LAYER = "application/vnd.oci.image.layer.v1.tar"


def file(name, data=b"x", mode=0o644, **more):
    return dict(name=name, data=data, mode=mode, **more)


def directory(name):
    return dict(name=name, type=tarfile.DIRTYPE, mode=0o755)


def link(name, to, kind=tarfile.SYMTYPE):
    return dict(name=name, type=kind, linkname=to)


def tar(members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            info, data = tarfile.TarInfo(), member.get("data", b"")
            info.size, info.mtime, info.uid, info.gid = len(data), 1700000000, 1234, 1234
            for key, value in member.items():
                if key != "data":
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def zstd(data):
    """A frame of blocks as they are: a window of 1 MiB, no checksum."""
    frame = struct.pack("<IBB", 0xFD2FB528, 0, 10 << 3)
    blocks = [data[i:i + 65536] for i in range(0, len(data), 65536)]
    for i, block in enumerate(blocks):
        head = len(block) << 3 | (i == len(blocks) - 1)
        frame += struct.pack("<I", head)[:3] + block
    return frame


def digest(data):
    return hashlib.sha256(data).hexdigest()


def descriptor(data, kind, **more):
    return dict(mediaType=kind, digest="sha256:" + digest(data), size=len(data), **more)


def config_of(layers, **config):
    return json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                       "rootfs": {"type": "layers",
                                  "diff_ids": ["sha256:" + digest(x) for x in layers]}}).encode()


PACKERS = {"": lambda x: x, "+gzip": gzip.compress, "+zstd": zstd}


def layout(layers, packed=None, change=None, nested=False, **config):
    """An OCI layout; change(blobs, index) may damage it."""
    blobs, descriptors = {}, []

    def blob(data, kind, **more):
        blobs[digest(data)] = data
        return descriptor(data, kind, **more)

    for i, layer in enumerate(layers):
        suffix = (packed or [""] * len(layers))[i]
        descriptors.append(blob(PACKERS[suffix](layer), LAYER + suffix))
    manifest = json.dumps({"schemaVersion": 2, "layers": descriptors,
                           "config": blob(config_of(layers, **config),
                                          "application/vnd.oci.image.config.v1+json")}).encode()
    one = blob(manifest, "application/vnd.oci.image.manifest.v1+json",
               platform={"os": "linux", "architecture": "amd64"})
    other = dict(one, platform={"os": "unknown", "architecture": "unknown"})
    index = {"schemaVersion": 2, "manifests": [other, one]}
    if nested:
        inner = json.dumps(index).encode()
        index = {"manifests": [blob(inner, "application/vnd.oci.image.index.v1+json")]}
    extra = (change(blobs, index) if change else None) or []
    files = [file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
             file("index.json", json.dumps(index).encode())]
    return tar(files + [file("blobs/sha256/" + k, v) for k, v in blobs.items()] + extra)


def saved(layers, change=b"", **config):
    """What docker save wrote before it wrote layouts."""
    conf = config_of(layers, **config)
    name = digest(conf) + ".json"
    manifest = [{"Config": name, "RepoTags": ["x:1"],
                 "Layers": ["%d/layer.tar" % i for i in range(len(layers))]}]
    return tar([file("manifest.json", json.dumps(manifest).encode()), file(name, conf)] +
               [file("%d/layer.tar" % i, x + change) for i, x in enumerate(layers)])


def write(name, data):
    with open("%s/%s.tar" % (out, name), "wb") as f:
        f.write(data)


BELOW = tar([directory("./"), directory("bin"), file("bin/screen", program, 0o4755),
             file("etc/screen/" + lists[0].rsplit("/", 1)[-1], open(lists[0], "rb").read()),
             file("etc/screen/" + lists[1].rsplit("/", 1)[-1], b"of before"),
             file("etc/old"), file("etc/\u00e9t\u00e9"), directory("opt"), file("opt/a"), file("opt/b/c"),
             directory("dev"), dict(name="dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
             link("usr/bin/run", "/bin/screen"), link("bin/copy", "bin/screen", tarfile.LNKTYPE),
             file("var/was/a/directory"), link("srv", "/")])
ABOVE = tar([file("etc/.wh.old", b""), file("opt/d"), file("opt/.wh..wh..opq", b""),
             file("etc/screen/" + lists[1].rsplit("/", 1)[-1], open(lists[1], "rb").read()),
             file(".wh..wh.plnk", b""), file("var/was", b"now a file")])
GOOD = dict(Entrypoint=["/bin/screen"], Cmd=["--in-no-place"], Env=["PATH=/usr/bin:/bin", "A=b=c"])
RUNS = dict(Entrypoint=["screen"], Env=["PATH=/usr/bin:/bin", "A=b=c"])

write("oci", layout([BELOW, ABOVE], ["+gzip", "+zstd"], **RUNS))
write("plain", layout([BELOW, ABOVE], nested=True, **RUNS))
write("saved", saved([BELOW, ABOVE], **RUNS))
write("command", layout([BELOW, ABOVE], **GOOD))
write("silent", layout([BELOW, ABOVE]))
with open(out + "/oci.tar.gz", "wb") as packed:
    packed.write(gzip.compress(layout([BELOW, ABOVE], **RUNS)))


def bad_layer(name, *members):
    write("bad_" + name, layout([tar([file("bin/screen", program, 0o755)]), tar(members)], **RUNS))


bad_layer("parent", file("../x"))
bad_layer("hidden_parent", file("bin/../../x"))
bad_layer("absolute", file("/bin/x"))
bad_layer("through_link", link("way", "/etc"), file("way/passwd"))
bad_layer("through_file", file("bin/screen/x"))
bad_layer("device", dict(name="sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0))
bad_layer("pipe", dict(name="p", type=tarfile.FIFOTYPE))
bad_layer("twice", file("a"), file("a", b"y"))
bad_layer("file_then_directory", file("a"), directory("a"))
bad_layer("directory_then_link", file("a/b"), link("a", "bin"))
bad_layer("out_by_link", link("l", "../../etc/passwd"))
bad_layer("hard_link_out", link("h", "../../etc/shadow", tarfile.LNKTYPE))
bad_layer("hard_link_to_nothing", link("h", "later", tarfile.LNKTYPE), file("later"))
bad_layer("whiteout_of_parent", file("bin/.wh...", b""))
bad_layer("many", *[file("f%d" % i, b"") for i in range(65537)])
bad_layer("copies", file("big", bytes(16 << 20)),
          *[link("copy%d" % i, "big", tarfile.LNKTYPE) for i in range(17)])

HUGE = tarfile.TarInfo("bin/huge")
HUGE.size = 1 << 40
write("bad_huge", layout([HUGE.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)], **RUNS))
HUGE.name = "bin/.wh.huge"
write("bad_huge_whiteout", layout([HUGE.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)], **RUNS))
HUGE.name = "./"
write("bad_huge_root", layout([HUGE.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)], **RUNS))
HUGE.name = "a_file_that_nobody_asks_for"
write("bad_huge_file", HUGE.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))


def sparse(name, stored):
    """GNU's old form of a sparse file: of no bytes at all, but so many stored."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.GNUTYPE_SPARSE, stored
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


write("bad_sparse", layout([sparse("bin/.wh.x", 2 << 30) + bytes((1 << 30) + (1 << 20))], ["+gzip"], **RUNS))
ZEROS = tar([file("bin/zeros%d" % i, bytes(64 << 20)) for i in range(5)])
write("bad_bomb", layout([ZEROS], ["+gzip"], **RUNS))
write("bad_cut_layer", layout([BELOW[:len(BELOW) // 2]], **RUNS))
write("bad_no_layers", layout([], **RUNS))
write("bad_config", layout([BELOW], Entrypoint="screen"))
write("bad_environment", layout([BELOW], Entrypoint=["/bin/screen"], Env=["=x"]))
write("bad_saved_digest", saved([BELOW], bytes(512), **RUNS))


def damaged(blobs, _):
    layer = max(blobs, key=lambda k: len(blobs[k]))
    data = bytearray(blobs[layer])
    data[-1] ^= 1
    blobs[layer] = bytes(data)


def without_layer(blobs, _):
    del blobs[max(blobs, key=lambda k: len(blobs[k]))]


def other_manifest(blobs, index):
    wanted = index["manifests"][1]["digest"][7:]
    blobs[wanted] = blobs[wanted].replace(b"schemaVersion", b"schemaVersioN")


def two_images(_, index):
    index["manifests"].append(index["manifests"][1])


def other_machine(_, index):
    index["manifests"][1]["platform"]["architecture"] = "s390x"


def md5(_, index):
    index["manifests"][1]["digest"] = "md5:" + 32 * "0"


def path_in_digest(_, index):
    index["manifests"][1]["digest"] = "sha256:../../../../etc/passwd"


write("bad_digest", layout([BELOW], change=damaged, **RUNS))
write("bad_missing", layout([BELOW], change=without_layer, **RUNS))
write("bad_manifest", layout([BELOW], change=other_manifest, **RUNS))
write("bad_two_images", layout([BELOW], change=two_images, **RUNS))
write("bad_machine", layout([BELOW], change=other_machine, **RUNS))
write("bad_algorithm", layout([BELOW], change=md5, **RUNS))
write("bad_digest_path", layout([BELOW], change=path_in_digest, **RUNS))
write("bad_two_indexes", layout([BELOW], change=lambda *_: [file("index.json", b"{}")], **RUNS))
write("bad_json", tar([file("index.json", b'{"manifests": [], "manifests": []}')]))
write("bad_deep_json", tar([file("index.json", b"[" * 100000)]))
write("bad_large_json", tar([file("index.json", b" " * (5 << 20))]))
write("bad_no_image", tar([file("readme")]))
write("bad_crowd", tar([file("f%d" % i, b"") for i in range(4097)]))
