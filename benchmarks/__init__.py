"""What Quiesce costs, and how soon a change is seen, measured beside other packages; ``run.py`` runs it all."""
