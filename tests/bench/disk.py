#!/usr/bin/env python3
"""disk.py [SECTION...]: our disks beside QEMU's, on the same images in turns.

Sections: reads cold writes tree clone.  Everything goes through an NBD server
(lanyard disk serve, qemu-storage-daemon) and fio, or is a command of the two.
Each figure is the median of TURNS (5); a ratio is that of the two of one turn,
and then the median.  Needs qemu-utils, qemu-storage-daemon, libnbd-bin, fio.

SIZE_MB (1024) is the disk, DEPTHS (0 8 32 128) how many images are below it,
each with 32 clusters of its own; SECONDS_EACH (1) how long reads are measured.
"""
import json, os, random, re, shutil, signal, statistics, subprocess, sys
import socket, tempfile, time

TURNS = int(os.environ.get("TURNS", 5))
SIZE_MB = int(os.environ.get("SIZE_MB", 1024))
DEPTHS = [int(d) for d in os.environ.get("DEPTHS", "0 8 32 128").split()]
SECONDS = os.environ.get("SECONDS_EACH", "1")
LANYARD = os.path.realpath(os.environ.get("LANYARD") or os.path.join(
    os.environ.get("BUILD", "build"), "lanyard"))
SECTIONS = sys.argv[1:] or ["reads", "cold", "writes", "tree", "clone"]
WHO = ["ours", "qemu"]

for program in ["qemu-img", "qemu-io", "qemu-storage-daemon", "nbdinfo", "fio"]:
    if shutil.which(program) is None:
        print("SKIP needs", program)
        sys.exit(0)

work = tempfile.mkdtemp(prefix="lanyard-bench-", dir=os.environ.get("TMPDIR"))
sock = os.path.join(work, "sock")
uri = f"nbd+unix:///disk?socket={sock}"


def run(*command, **options):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE, cwd=work, **options).stdout


def layer(depth):
    return f"L{depth}.qcow2"


def make_images():
    with open(f"{work}/data", "wb") as f:
        for _ in range(SIZE_MB):
            f.write(random.randbytes(1 << 20))
    run("qemu-img", "convert", "-O", "qcow2", "-f", "raw", "data", layer(0))
    os.unlink(f"{work}/data")
    clusters = SIZE_MB * 16
    for i in range(1, max(DEPTHS) + 1):
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", layer(i - 1),
            "-F", "qcow2", layer(i))
        r = random.Random(i)
        # One at least in each L2 table, so that none can be passed over.
        own = {g + r.randrange(min(8192, clusters - g))
               for g in range(0, clusters, 8192)}
        own |= set(r.sample(range(clusters), 32 - len(own)))
        run("qemu-io", "-f", "qcow2", layer(i), input="".join(
            f"write -q -P {1 + i % 255} {c << 16} 65536\n" for c in own))


def files():
    return [f for f in os.listdir(work) if f.endswith(".qcow2")]


def warm():
    for name in files():
        with open(f"{work}/{name}", "rb") as f:
            while f.read(1 << 22):
                pass


def cold():
    for name in files():
        fd = os.open(f"{work}/{name}", os.O_RDONLY)
        os.fdatasync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


class Server:
    def __init__(self, who, image):
        if os.path.exists(sock):
            os.unlink(sock)
        if who == "ours":
            command = [LANYARD, "disk", "serve", "--socket", sock, image]
        else:
            command = ["qemu-storage-daemon",
                       "--blockdev", f"driver=file,node-name=f,filename={image}",
                       "--blockdev", "driver=qcow2,node-name=q,file=f",
                       "--nbd-server", f"addr.type=unix,addr.path={sock}",
                       "--export", "type=nbd,id=e,node-name=q,name=disk,"
                       "writable=on"]
        self.process = subprocess.Popen(command, cwd=work,
                                        stdout=subprocess.DEVNULL)
        while subprocess.run(["nbdinfo", "--size", uri], capture_output=True
                             ).returncode != 0:
            if self.process.poll() is not None:
                sys.exit(f"{who}: the server did not start")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu_us(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 10000


def fio(mode, block, depth, *options):
    """Requests a second, and how many there were."""
    out = run("fio", "--name=b", "--ioengine=nbd", f"--uri={uri}",
              f"--rw={mode}", f"--bs={block}", f"--iodepth={depth}",
              "--randrepeat=1", "--norandommap", "--output-format=json",
              *options, stderr=subprocess.DEVNULL)
    job = json.loads(out[out.index("{"):])["jobs"][0]
    job = job["write" if "write" in mode else "read"]
    return job["iops"], job["total_ios"]


TIMED = ["--time_based", f"--runtime={SECONDS}"]
rows = {}  # name: {who: [value of each turn]}


def note(name, who, value):
    rows.setdefault(name, {}).setdefault(who, []).append(value)


# ---- the sections: each measures one of the two once ----

def reads(who, depth):
    warm()
    with Server(who, layer(depth)) as server:
        fio("randread", "4k", 16, *TIMED)
        start = server.cpu_us()
        iops, n = fio("randread", "4k", 16, *TIMED)
        note(f"depth {depth}: us of CPU a read", who,
             (server.cpu_us() - start) / n)
        note(f"depth {depth}: reads of 4 KiB/s, 16 at a time", who, iops)
        note(f"depth {depth}: reads of 4 KiB/s, one at a time", who,
             fio("randread", "4k", 1, *TIMED)[0])
        note(f"depth {depth}: sequential, MiB/s", who,
             fio("read", "1m", 4, f"--io_size={SIZE_MB}m")[0])


def cold_reads(who, depth):
    cold()
    with Server(who, layer(depth)):
        note(f"depth {depth}: cold reads of 4 KiB/s, 16 at a time", who,
             fio("randread", "4k", 16, "--number_ios=4096", "--io_size=16m")[0])
    cold()
    with Server(who, layer(depth)):
        note(f"depth {depth}: cold sequential, MiB/s", who,
             fio("read", "1m", 4, f"--io_size={SIZE_MB // 2}m")[0])


def writes(who, depth):
    shutil.copy(f"{work}/{layer(depth)}", f"{work}/top.qcow2")
    run("sync", "-d", "top.qcow2")
    warm()
    with Server(who, "top.qcow2"):
        some = ["--number_ios=4096", "--io_size=16m"]
        note(f"depth {depth}: first writes of 4 KiB/s", who,
             fio("randwrite", "4k", 16, *some)[0])
        note(f"depth {depth}: the same again", who,
             fio("randwrite", "4k", 16, *some)[0])
        note(f"depth {depth}: writes of 4 KiB/s, each flushed", who,
             fio("randwrite", "4k", 1, "--number_ios=150", "--io_size=600k",
                 "--fsync=1")[0])
        note(f"depth {depth}: sequential writes and a flush, MiB/s", who,
             fio("write", "1m", 4, "--io_size=256m", "--end_fsync=1")[0])
    os.unlink(f"{work}/top.qcow2")


def timed(name, who, *command):
    start = time.perf_counter()
    run(*command)
    note(name, who, (time.perf_counter() - start) * 1e3)


def live_snapshot_qemu():
    """What QEMU takes for one once the overlay is there; it syncs nothing."""
    for top, below in ("live", layer(0)), ("live2", "live.qcow2"):
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F",
            "qcow2", f"{top}.qcow2")
    process = subprocess.Popen([
        "qemu-storage-daemon",
        "--blockdev", "driver=qcow2,node-name=q,file.driver=file,"
        "file.filename=live.qcow2",
        "--blockdev", json.dumps({
            "driver": "qcow2", "node-name": "o", "backing": None,
            "file": {"driver": "file", "filename": "live2.qcow2"}}),
        "--chardev", f"socket,path={sock}m,server=on,wait=off,id=m",
        "--monitor", "chardev=m"], cwd=work)
    s = socket.socket(socket.AF_UNIX)
    while s.connect_ex(f"{sock}m") != 0:
        time.sleep(0.02)
    f = s.makefile("rw")
    f.readline()

    def ask(command, **arguments):
        start = time.perf_counter()
        f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        f.flush()
        while not re.search(r'"(return|error)"', f.readline()):
            pass
        return (time.perf_counter() - start) * 1e3
    ask("qmp_capabilities")
    took = ask("blockdev-snapshot", node="q", overlay="o")
    process.terminate()
    process.wait()
    return took


def live_snapshot_ours():
    run(LANYARD, "disk", "create", "--backing", layer(0), "live.qcow2")
    with Server("ours", "live.qcow2"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(f"{work}/live.qcow2~control")
        start = time.perf_counter()
        s.sendall(b"snapshot x\n")
        answer = s.recv(512)
        took = (time.perf_counter() - start) * 1e3
        if answer != b"ok\n":
            sys.exit(answer.decode())
    return took


def tree(who, _):
    took = live_snapshot_ours() if who == "ours" else live_snapshot_qemu()
    note("snapshot of a served disk, ms (QEMU syncs nothing)", who, took)
    for name in files():
        if name.startswith("live"):
            os.unlink(f"{work}/{name}")
    if os.path.exists(f"{work}/lanyard.disks"):
        os.unlink(f"{work}/lanyard.disks")
    shutil.copy(f"{work}/{layer(0)}", f"{work}/below.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "below.qcow2", "-F",
        "qcow2", "top.qcow2")
    run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 77 0 {SIZE_MB}M",
        "top.qcow2")
    run("sync", "-d", "below.qcow2", "top.qcow2")
    command = ([LANYARD, "disk", "commit"] if who == "ours"
               else ["qemu-img", "commit", "-q"])
    timed(f"commit of {SIZE_MB} MiB and sync, ms", who, "sh", "-c",
          " ".join(command) + " top.qcow2 && sync -d below.qcow2")
    os.unlink(f"{work}/below.qcow2")
    os.unlink(f"{work}/top.qcow2")


def clone(who, _):
    deep = layer(max(DEPTHS))
    command = ([LANYARD, "disk", "clone", "--full"] if who == "ours"
               else ["qemu-img", "convert", "-q", "-O", "qcow2"])
    for source in sorted({layer(0), deep}):
        timed(f"full copy of {source} and sync, ms", who, "sh", "-c",
              " ".join(command) + f" {source} copy.qcow2 && sync -d copy.qcow2")
        os.unlink(f"{work}/copy.qcow2")


def reflink():
    """On a file system that shares extents, if one can be made here."""
    image, mount = f"{work}/xfs", f"{work}/mnt"
    os.mkdir(mount)
    with open(image, "wb") as f:
        f.truncate((SIZE_MB * 2 + 512) << 20)
    try:
        run("mkfs.xfs", "-q", image, stderr=subprocess.DEVNULL)
        run("mount", "-o", "loop", image, mount, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        print("SKIP clone with shared extents: needs root and mkfs.xfs")
        return
    try:
        shutil.copy(f"{work}/{layer(0)}", f"{mount}/a.qcow2")
        os.sync()
        for turn in range(TURNS):
            timed("clone with shared extents (XFS), ms", "ours", LANYARD,
                  "disk", "clone", "--full", f"{mount}/a.qcow2",
                  f"{mount}/{turn}.qcow2")
    finally:
        run("umount", mount)
        os.unlink(image)


def report():
    print(f"{'':52} {'ours':>10} {'QEMU':>10} {'ours/QEMU':>10}")
    for name, by in rows.items():
        values = [by.get(who) for who in WHO]
        texts = [f"{statistics.median(v):10.1f}" if v else f"{'-':>10}"
                 for v in values]
        if all(values):
            ratio = statistics.median(a / b for a, b in zip(*values))
            texts.append(f"{ratio:10.2f}")
        print(f"{name:52}", *texts)
    for who in WHO:
        cpu = [statistics.median(rows[name][who]) for d in DEPTHS
               if (name := f"depth {d}: us of CPU a read") in rows]
        if len(cpu) > 1:
            print(f"CPU a read at depth {DEPTHS[-1]} / at {DEPTHS[0]}, "
                  f"{who}: {cpu[-1] / cpu[0]:.2f}")


SECTION = {"reads": (reads, DEPTHS), "cold": (cold_reads, DEPTHS),
           "writes": (writes, DEPTHS), "tree": (tree, [0]),
           "clone": (clone, [0])}
try:
    make_images()
    for turn in range(TURNS):
        for section in SECTIONS:
            measure, depths = SECTION[section]
            for depth in depths:
                for who in WHO:
                    measure(who, depth)
        print(f"# turn {turn + 1} of {TURNS}, load",
              *("%.1f" % x for x in os.getloadavg()), flush=True)
    if "clone" in SECTIONS:
        reflink()
    report()
finally:
    shutil.rmtree(work, ignore_errors=True)
