"""What a server does about the other machines of its cluster: their nodes leave, their turns have a limit and end."""
