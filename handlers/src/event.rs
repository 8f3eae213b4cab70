//! What arrives: a message of a queue or bus, in any of the forms that AWS and unglue send, to what it is about.
