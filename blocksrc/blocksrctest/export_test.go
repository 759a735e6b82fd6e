package blocksrctest

// Address lets tests compare where blocks begin.
var Address = address
