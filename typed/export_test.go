package typed

// Readable is here for names of packages that the tests cannot import.
var Readable = readable
