package guard

var CgroupFolders = cgroupFolders
