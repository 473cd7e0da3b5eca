"""`python -m hrlm.synthetic`: render portraits with exact landmarks, or pack a head model for that."""

from hrlm.synthetic.command import main

if __name__ == "__main__":
    main()
