"""Programs that show the network at work: demo, walkthrough, shift study."""
