package program

var (
	Serve   = serve
	OwnOnly = ownOnly

	Advertised = advertised
)
