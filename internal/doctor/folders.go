package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Folders are those that launches write to.
type Folders struct {
	Runtime Folder // records and sockets
	State   Folder // logs and tokens
	Leases  Folder // of ports, for all users
}

// Folder is one of them.
type Folder struct {
	Path   string
	Exists bool
	Mode   fs.FileMode
	Mine   bool  // this user's
	Write  error // why nothing can be made in it, or, when it is missing, it can't be made

	Free      uint64 // bytes this user may still write there
	FreeFiles uint64 // and files; meaningless unless Counted
	Counted   bool   // the file system has a limit on files
}

const mega = 1 << 20

// room judges what a folder's disk has left; nothing is found when that is enough.
func room(check string, f Folder, fix string) (Finding, bool) {
	text := fmt.Sprintf("%s has %d MB left", f.Path, f.Free/mega)
	switch {
	case f.Free < 10*mega:
		return bad(check, text, fix), true
	case f.Counted && f.FreeFiles < 100:
		return bad(check, fmt.Sprintf("%s has room for %d more files", f.Path, f.FreeFiles), fix), true
	case f.Free < 200*mega:
		return warn(check, text+": a child's logs can grow to 40 MB", fix), true
	case f.Counted && f.FreeFiles < 1000:
		return warn(check, fmt.Sprintf("%s has room for %d more files", f.Path, f.FreeFiles), fix), true
	default:
		return Finding{}, false
	}
}

func runtimeFolder(all Folders) Finding {
	const check, elsewhere = "runtime folder", "RBEE_RUNTIME_DIR names another one"
	f := all.Runtime
	switch {
	case f.Exists && !f.Mode.IsDir():
		return bad(check, f.Path+" is no folder", elsewhere)
	case f.Exists && !f.Mine:
		return bad(check, f.Path+" is another user's: no launch is recorded there", elsewhere)
	case f.Write != nil:
		return bad(check, "no launch can be listed, stopped or adopted: "+f.Write.Error(), elsewhere)
	case f.Exists && f.Mode.Perm()&0o022 != 0:
		return bad(check, fmt.Sprintf("others may write to %s (mode %04o), and so command your launches", f.Path, f.Mode.Perm()), "chmod 700 "+f.Path)
	}
	if finding, short := room(check, f, "make room, or "+elsewhere); short {
		return finding
	}
	return ok(check, f.Path+missing(f))
}

func stateFolder(all Folders) Finding {
	const check, elsewhere = "state folder", "RBEE_STATE_DIR names another one"
	f := all.State
	switch {
	case f.Exists && !f.Mode.IsDir():
		return bad(check, f.Path+" is no folder", elsewhere)
	case f.Write != nil:
		return bad(check, "no output of a child is kept: "+f.Write.Error(), writable(f, "chown or chmod it")+", or "+elsewhere)
	}
	if finding, short := room(check, f, "make room, or "+elsewhere); short {
		return finding
	}
	return ok(check, f.Path+missing(f))
}

func leaseFolder(all Folders) Finding {
	const check = "port leases"
	f := all.Leases
	again := fmt.Sprintf("remove %s when nothing is launched: the next launch makes it", f.Path)
	switch {
	case !f.Exists && f.Write != nil:
		return bad(check, "no port can be leased: "+f.Write.Error(), writable(f, "make "+f.Path+" with mode 1777"))
	case !f.Exists:
		return ok(check, f.Path+missing(f))
	case !f.Mode.IsDir():
		return bad(check, f.Path+" is no folder, so no port can be leased", again)
	case f.Mode.Perm()&0o022 != 0 && f.Mode&fs.ModeSticky == 0:
		return bad(check, fmt.Sprintf("others could take leases away in %s (mode %04o), so no port is leased", f.Path, f.Mode.Perm()), "chmod 1777 "+f.Path)
	case f.Write != nil:
		return bad(check, "no port can be leased: "+f.Write.Error(), writable(f, "its owner: chmod 1777 "+f.Path))
	case f.Mode.Perm() != 0o777:
		return warn(check, fmt.Sprintf("launchers of other users can't lease ports in %s (mode %04o)", f.Path, f.Mode.Perm()), "chmod 1777 "+f.Path)
	}
	if finding, short := room(check, f, "make room there"); short {
		return finding
	}
	return ok(check, f.Path)
}

// writable is how to make a folder that: the fix, unless its file system takes nothing.
func writable(f Folder, fix string) string {
	if errors.Is(f.Write, syscall.EROFS) {
		return "its file system is read-only: have it mounted writable"
	}
	return fix
}

func missing(f Folder) string {
	if f.Exists {
		return ""
	}
	return " (the first launch makes it)"
}

// longestSocket is what a socket's address holds everywhere, in bytes.
const longestSocket = 103

// socketPaths looks at the path of a launch with a usual id.
func socketPaths(s System, all Folders) Finding {
	const check = "socket paths"
	usual := len(all.Runtime.Path) + len("/launches/worker-llm-8080.sock")
	text := fmt.Sprintf("that of a launch has %d bytes, and %d fit", usual, longestSocket)
	const shorter = "RBEE_RUNTIME_DIR names a shorter folder"
	switch {
	case usual <= longestSocket:
		return ok(check, text)
	case s.OS == "linux":
		return warn(check, text+": rbee-launch gets by with that, other programs (curl --unix-socket) don't", shorter)
	default:
		return bad(check, text+": launches take no commands", shorter)
	}
}
