package program

var (
	Serve   = serve
	OwnOnly = ownOnly

	Advertised = advertised
	Binds      = (*Worker).binds
)
